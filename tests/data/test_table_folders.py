"""Folders of tables: what is one sample, classes, what is skipped and what refused."""

import sys

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.data import DataError, tables
from sparring.data.series import SpooledWindows, is_series
from sparring.data.spec import DataSpec
from sparring.modalities.registry import open_dataset
from sparring.modalities.series.display import SeriesDisplay

from series_files import NAN, TABLE, close, lines, notes, restored, windows

PARTS = {"s1.csv": TABLE[:10], "s2.csv": TABLE[10:25], "s10.csv": TABLE[25:33]}  # in their natural order
HEADER = "a,b,c\n"


def folder_of(tmp_path, files):
    for name, content in files.items():
        path = tmp_path / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content if isinstance(content, str) else HEADER + lines(content))
    return str(tmp_path / "set")


def test_windows_lie_inside_one_file(tmp_path):
    dataset = open_dataset(folder_of(tmp_path, PARTS), window=6)
    assert close(restored(dataset), np.concatenate([windows(part, 6) for part in PARTS.values()]))
    assert dataset.channels.names == ("a", "b", "c")
    assert dataset.num_classes == 0


def test_without_a_window_each_file_is_one_series_of_its_own_length(tmp_path):
    dataset = open_dataset(folder_of(tmp_path, PARTS))
    assert dataset.sample_shape == (4, 15)
    expected = np.full((3, 15, 3), NAN, np.float32)
    for series, part in zip(expected, PARTS.values(), strict=True):
        series[: len(part)] = part
    assert close(restored(dataset), expected.transpose(0, 2, 1))
    assert "8 to 15 steps" in notes(dataset)


def test_many_numbers_in_a_row_without_a_header_are_channels_too(tmp_path):
    wide = np.tile(TABLE[:5], 4)
    dataset = open_dataset(folder_of(tmp_path, {"a.csv": lines(wide), "b.csv": lines(2 * wide)}))
    assert close(restored(dataset), np.stack([wide.T, 2 * wide.T]))


def test_classes_are_the_folders_or_a_file_names_them(tmp_path):
    folder = folder_of(tmp_path, {"walk/a.csv": TABLE[:8], "run/a.csv": TABLE[8:16], "run/b.tsv": TABLE[16:24]})
    dataset = open_dataset(folder, window=7)
    assert dataset.class_names == ["run", "walk"]
    assert dataset.labels().tolist() == [0, 0, 0, 0, 1, 1]
    labels = tmp_path / "set" / "labels.csv"  # beside the tables, and none of them
    labels.write_text("file,label\nwalk/a.csv,x\nrun/a.csv,y\nb.tsv,x\n")
    dataset = open_dataset(folder, labels=str(labels))
    assert dataset.class_names == ["x", "y"]
    assert dataset.labels().tolist() == [1, 0, 0]
    assert not dataset.skipped
    alone = open_dataset(folder, labels=str(labels), conditional=False)
    assert alone.num_classes == 0
    assert "ignored as asked" in notes(alone)


def labelled(values, labels):
    rows = zip(lines(values).splitlines(), labels, strict=True)
    return HEADER.replace("\n", ",label\n") + "".join(f"{row},{label}\n" for row, label in rows)


def test_a_column_of_labels_gives_the_runs_of_one_label(tmp_path):
    files = {"a.csv": labelled(TABLE[:10], "xxxxxyyyyy"), "b.csv": labelled(TABLE[10:16], "yyyyyy")}
    dataset = open_dataset(folder_of(tmp_path, files), window=5)
    runs = [TABLE[:5], TABLE[5:10], TABLE[10:16]]
    assert close(restored(dataset), np.concatenate([windows(run, 5) for run in runs]))
    assert dataset.labels().tolist() == [0, 1, 1, 1]
    whole = open_dataset(str(tmp_path / "set"))
    assert whole.labels().tolist() == [0, 1, 1]
    assert "each of the 3 runs of one label is one series" in notes(whole)
    with pytest.raises(DataError, match="only one sample"):
        open_dataset(str(tmp_path / "set"), window=6)
    unlabelled = open_dataset(str(tmp_path / "set"), window=6, conditional=False)
    assert close(restored(unlabelled), np.concatenate([windows(TABLE[:10], 6), windows(TABLE[10:16], 6)]))


def test_labels_of_only_some_tables_are_ignored_and_those_in_class_folders_too(tmp_path):
    dataset = open_dataset(folder_of(tmp_path, {"a.csv": labelled(TABLE[:6], "xxxxxx"), "b.csv": TABLE[:6]}))
    assert dataset.num_classes == 0
    assert "only some of the tables have class labels" in notes(dataset)
    (tmp_path / "other").mkdir()
    files = {"k/a.csv": labelled(TABLE[:6], "xxxxxx"), "l/b.csv": labelled(TABLE[6:12], "xxxxxx")}
    dataset = open_dataset(folder_of(tmp_path / "other", files))
    assert dataset.class_names == ["k", "l"]
    assert "each table has its class" in notes(dataset)


def test_broken_files_are_skipped_and_named(tmp_path):
    junk = {
        "bad.csv": "a,b,c\n1,2\n",
        "empty.csv": "",
        "text.csv": "a\nx\ny\n",
        "wild.csv": "a\n1\nx\n2\n",
        "readme.md": "hello",
        ".hidden.csv": "?",
    }
    dataset = open_dataset(folder_of(tmp_path, PARTS | junk), window=6)
    assert len(dataset) == 5 + 10 + 3
    assert [line.split(":")[0] for line in dataset.skipped] == ["bad.csv", "empty.csv", "text.csv", "wild.csv"]
    assert dataset.skipped[0] == "bad.csv: line 2 has 2 cells, the first has 3: correct it"
    assert dataset.skipped[2] == (
        "text.csv: the column 'a' of it is text, e.g. 'x': remove it "
        "(numbers have a decimal point, class labels the name 'label')"
    )
    assert dataset.describe()["skipped"]["count"] == 4
    assert "1 files that are not tables were left out" in notes(dataset)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.csv": "", "b.csv": "x"}, r"cannot read a table in .* \(2 broken, first a.csv: is empty"),
        ({"a.csv": "a,b\n1,2\n3,4\n", "b.csv": "a,c\n1,2\n3,4\n"}, "same columns: b.csv has a, c, a.csv has a, b;"),
        ({"a.csv": "a,b\n1,2\n3,4\n"}, "only one sample"),
    ],
)
def test_unusable_folders_are_one_clear_line(tmp_path, files, message):
    with pytest.raises(DataError, match=message):
        open_dataset(folder_of(tmp_path, files))


@pytest.mark.parametrize("name", ["a.npy", ".hidden"])
def test_a_window_of_a_folder_without_tables_is_told_what_it_may_hold(tmp_path, name):
    folder = folder_of(tmp_path, {name: "x"})
    with pytest.raises(DataError, match=r"cannot read a table in .*set, it holds none: .* \.csv \.tsv \.parquet files"):
        open_dataset(folder, window=3)
    Image.new("L", (8, 8)).save(tmp_path / "set/b.png")
    with pytest.raises(DataError, match=r"--data\.window has no effect on pictures"):
        open_dataset(folder, window=3)


def test_gaps_are_filled_inside_a_file(tmp_path):
    gap = TABLE[:8].copy()
    gap[3] = NAN
    ended = TABLE[8:16].copy()
    ended[6:] = NAN
    folder = folder_of(tmp_path, {"a.csv": gap, "b.csv": ended, "c.csv": TABLE[16:24]})
    dataset = open_dataset(folder)
    assert len(dataset) == 2
    assert "1 series with gaps were left out" in notes(dataset)
    filled = open_dataset(folder, fill_gaps=True)
    assert len(filled) == 3
    assert np.allclose(restored(filled)[0, :, 3], (gap[2] + gap[4]) / 2, rtol=1e-4)
    assert np.isnan(restored(filled)[1, :, 6:]).all()


def test_what_sample_writes_singly_comes_back(tmp_path):
    made = open_dataset(folder_of(tmp_path, PARTS))
    series = torch.from_numpy(restored(made))
    SeriesDisplay("series").save(series, tmp_path / "out", DataSpec.of(made))
    again = open_dataset(str(tmp_path / "out"))
    assert np.allclose(restored(again), series.numpy(), rtol=1e-3, equal_nan=True)
    assert again.channels.names == ("a", "b", "c")


def test_folders_beyond_the_memory_limit_are_spooled(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_CELLS", 30)
    folder = folder_of(tmp_path, PARTS)
    held, spooled = open_dataset(folder, window=6), open_dataset(folder, window=6, memory_limit=100)
    assert isinstance(spooled, SpooledWindows)
    assert torch.equal(held.batch(torch.arange(18))[0], spooled.batch(torch.arange(18))[0])


def test_parquet_in_a_folder(tmp_path, monkeypatch):
    folder = folder_of(tmp_path, PARTS | {"z.parquet": ""})
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "pyarrow.parquet", None)
        with pytest.raises(DataError, match=r'pip install "sparring\[series\]"'):
            open_dataset(folder, window=6)
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {name: TABLE[33:43, place] for place, name in enumerate("abc")}
    parquet.write_table(pyarrow.table(columns), tmp_path / "set/z.parquet")
    dataset = open_dataset(folder, window=6)
    assert close(restored(dataset)[-5:], windows(TABLE[33:43], 6))


def test_pictures_beside_a_table_stay_pictures(tmp_path):
    folder = folder_of(tmp_path, {"labels.csv": "file,label\na.png,x\nb.png,y\n"})
    assert is_series(folder)
    for name in "ab":
        Image.new("L", (8, 8)).save(tmp_path / f"set/{name}.png")
    assert not is_series(folder)
    assert open_dataset(folder, labels=folder + "/labels.csv").class_names == ["x", "y"]
    with pytest.raises(DataError, match=r"--data\.frames has no effect on series"):
        open_dataset(folder_of(tmp_path / "tables", PARTS), frames=4)
