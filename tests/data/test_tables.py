"""Tables and arrays of series: what their rows and columns are taken for, and what is wrong with them."""

import csv
import sys
from itertools import pairwise

import numpy as np
import pytest
import torch

from sparring.data import DataError, tables
from sparring.data.series import open_series
from sparring.display.plots import save_csv

from series_files import NAN, ROWS, TABLE, close, lines, notes, npy, restored, saved, windows, written
from small_gans import gan_of


def test_a_table_beyond_the_memory_limit_is_spooled_and_gives_the_same_batches(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "BLOCK_CELLS", 30)
    table = TABLE.copy()
    table[20, 1] = NAN
    path = written(tmp_path, "a,b,c\n" + lines(table))
    held = open_series(path, window=6, fill_gaps=True)
    spooled = open_series(path, window=6, fill_gaps=True, memory_limit=400)
    assert (held.storage, spooled.storage) == ("in memory", "in a temporary file")
    assert spooled.fingerprint == held.fingerprint
    every = torch.arange(len(held))
    assert torch.equal(spooled.batch(every)[0], held.batch(every)[0])
    for limit in (0, TABLE.nbytes - 1):
        assert open_series(path, window=6, memory_limit=limit).storage == "in a temporary file"
    assert open_series(path, window=6, memory_limit=TABLE.nbytes).storage == "in memory"
    assert close(restored(open_series(written(tmp_path, lines(ROWS)), memory_limit=0)), ROWS[:, None])


def test_a_full_disk_is_a_data_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(tables.tempfile, "TemporaryFile", full)
    with pytest.raises(DataError, match=r"temporary file: No space.*TMPDIR"):
        open_series(written(tmp_path, lines(TABLE)), window=6, memory_limit=10)


def test_a_csv_of_many_numbers_without_a_header_is_one_series_a_row(tmp_path):
    path = written(tmp_path, lines(ROWS))
    dataset = open_series(path)
    assert dataset.sample_shape == (1, 12)
    assert close(restored(dataset), ROWS[:, None])
    assert "each row is one series of 12 steps" in notes(dataset)
    assert close(restored(open_series(path, window=3)), windows(ROWS, 3))


def of_samples(ends, names="sample,step,a,b,c", step=0):
    """TABLE's rows as `sparring sample` writes series, the first up to row ends[0]; their steps count from `step`."""
    rows, values = [names], lines(TABLE).split()
    for number, (begin, end) in enumerate(pairwise([0, *ends])):
        rows += [f"{number},{row - begin + step},{values[row]}" for row in range(begin, end)]
    return "\n".join(rows) + "\n"


def test_names_are_no_formulas_in_a_spreadsheet_and_come_back(tmp_path):
    names = ("=HYPERLINK(1)", "+1", "-x", "@y", "'quoted'", "a")
    save_csv(torch.rand(3, 6, 5), tmp_path / "made.csv", names)
    header = next(csv.reader(open(tmp_path / "made.csv", newline="")))  # noqa: SIM115
    assert header == ["sample", "step", "'=HYPERLINK(1)", "'+1", "'-x", "'@y", "'quoted'", "a"]
    assert open_series(str(tmp_path / "made.csv")).channels.names == names


@pytest.mark.parametrize("block", [9, 1 << 17])
def test_what_sample_writes_is_one_series_a_sample(tmp_path, monkeypatch, block):
    monkeypatch.setattr(tables, "BLOCK_CELLS", block)  # a block's end lies inside of a sample
    gan = gan_of("series")
    made = gan.sample(4)
    save_csv(made, tmp_path / "made.csv", gan.spec.channel_names)
    dataset = open_series(str(tmp_path / "made.csv"))
    assert dataset.channels.names == ("a", "b")
    assert np.allclose(restored(dataset), made, rtol=1e-5, atol=1e-4)
    assert "each sample is one series; the columns 'sample' and 'step' were left out" in notes(dataset)
    dataset = open_series(written(tmp_path, of_samples([20, 27, 60])))
    assert dataset.sample_shape == (4, 33)
    assert np.isfinite(restored(dataset)[:, 0]).sum(1).tolist() == [20, 7, 33]
    cut = open_series(written(tmp_path, of_samples([20, 27, 60])), window=6)
    assert close(restored(cut), np.concatenate([windows(TABLE[a:b], 6) for a, b in ((0, 20), (20, 27), (27, 60))]))
    moved = written(tmp_path, of_samples([20, 40, 60]).replace("\n0,", "\n7,"))  # any number, in any order
    assert close(restored(open_series(moved)), TABLE.reshape(3, 20, 3).transpose(0, 2, 1))


@pytest.mark.parametrize("block", [9, 1 << 17])
def test_the_label_of_a_sample_is_its_class(tmp_path, monkeypatch, block):
    monkeypatch.setattr(tables, "BLOCK_CELLS", block)
    head, *rows = of_samples([20, 27, 60]).split()
    labelled = [f"{row},{'walk' if row.startswith('1,') else 'run'}" for row in rows]
    dataset = open_series(written(tmp_path, "\n".join([f"{head},label", *labelled])))
    assert [dataset.class_names[number] for number in dataset.labels()] == ["run", "walk", "run"]
    labelled[5] += "ning"
    dataset = open_series(written(tmp_path, "\n".join([f"{head},label", *labelled])), window=4)
    assert dataset.channels.names[:2] == ("sample", "step")


@pytest.mark.parametrize(
    "text",
    [
        of_samples([20, 40, 60], step=1),
        of_samples([20, 40, 60]).replace("\n1,7,", "\n1,8,"),
        of_samples([20, 40, 60]).replace("\n1,7,", "\n1,,"),
        of_samples([20, 40, 60]).replace("\n1,7,", "\n2,7,"),
        of_samples([20, 40, 60]).replace("\n2,", "\n0,"),
        of_samples([20, 21, 60]).replace("\n1,", "\n,"),
        of_samples(range(1, 61)),
    ],
    ids=["from 1", "a step left out", "no step", "another's step", "twice", "no number", "one step each"],
)
def test_other_tables_with_columns_of_these_names_keep_them(tmp_path, text):
    path = written(tmp_path, text)
    dataset = open_series(path, window=4)
    assert dataset.channels.names == ("sample", "step", "a", "b", "c")
    assert "the columns 'sample' and 'step' are channels: they do not number the samples" in notes(dataset)
    with pytest.raises(
        DataError, match=r"pass --window N .* 60 rows and 5 columns; the columns 'sample' and 'step' are"
    ):
        open_series(path)


@pytest.mark.parametrize("names", ["step,sample,a,b,c", "Sample,Step,a,b,c", "sample,steps,a,b,c"])
def test_columns_of_other_names_are_channels(tmp_path, names):
    dataset = open_series(written(tmp_path, of_samples([20, 40, 60], names)), window=4)
    assert dataset.channels.names == tuple(names.split(","))
    assert notes(dataset) == ""


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("when", [f"2020-01-{day:02}" for day in range(1, 31)]),
        ("when", [f"2020-01-{day:02}T10:00:00.5+01:00" for day in range(1, 31)]),
        ("when", [f"1/{day}/2020 09:30" for day in range(1, 31)]),
        ("when", [f"Jan {day}, 2020" for day in range(1, 31)]),
        ("when", [f"{day:02}-Jan-2020" for day in range(1, 31)]),
        ("when", [f"10:{day:02}:00 AM" for day in range(1, 31)]),
        ("Timestamp (s)", [str(1e9 + day) for day in range(30)]),
        ("date", [str(20200130 - day) for day in range(30)]),
    ],
)
def test_times_are_left_out_with_a_note(tmp_path, name, cells):
    quoted = [f'"{cell}"' for cell in [name, *cells]]
    rows = [f"{cell},{row}" for cell, row in zip(quoted, ["a,b,c", *lines(TABLE[:30]).split()], strict=True)]
    dataset = open_series(written(tmp_path, "\n".join(rows)), window=4)
    assert dataset.channels.names == ("a", "b", "c")
    assert close(restored(dataset), windows(TABLE[:30], 4))
    assert f"the column {name!r} holds times and was left out" in notes(dataset)


COUNTED = [3 * row for row in range(30)]
UNEVEN = [row * row for row in range(30)]


@pytest.mark.parametrize(
    "header",
    [",a,b,c", ",0,1,2", "Unnamed: 0,a,b,c", "__index_level_0__,a,b,c", "id,a,b,c", "index,a,b,c", "Unix,a,b,c"],
)
def test_counted_steps_are_left_out_with_a_note(tmp_path, header):
    name, *channels = header.split(",")
    rows = "\n".join(f"{count},{row}" for count, row in zip(COUNTED, lines(TABLE[:30]).split(), strict=True))
    dataset = open_series(written(tmp_path, f"{header}\n{rows}"), window=4)
    assert dataset.channels.names == tuple(channels)
    assert close(restored(dataset), windows(TABLE[:30], 4))
    assert f"the column {name or 'unnamed: 0'!r} counts the steps and was left out" in notes(dataset)


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("index", UNEVEN),  # of prices, say
        ("id", COUNTED[::2] * 2),
        ("unix", [7, 8] * 15),
        ("ident", COUNTED),
        ("", [7, 9, 8] * 10),
    ],
)
def test_what_counts_no_steps_is_a_channel(tmp_path, name, cells):
    rows = "\n".join(f"{count},{row}" for count, row in zip(cells, lines(TABLE[:30]).split(), strict=True))
    dataset = open_series(written(tmp_path, f"{name},a,b,c\n{rows}"), window=4)
    assert dataset.channels.names == (name or "unnamed: 0", "a", "b", "c")


def test_the_index_of_pandas_may_have_gaps(tmp_path):
    rows = "\n".join(f"{count},{row}" for count, row in zip(UNEVEN, lines(TABLE[:30]).split(), strict=True))
    assert open_series(written(tmp_path, f",a,b,c\n{rows}"), window=4).channels.names == ("a", "b", "c")


def ucr(first, rows=ROWS):
    cells = zip(first, lines(rows, "\t").splitlines(), strict=True)
    return "".join(f"{cell}\t{row}\n" for cell, row in cells)


def test_the_first_column_of_ucr_rows_is_their_class(tmp_path):
    path = written(tmp_path, ucr([-1, 1, 2, 1, -1, 1, 2]), "set.tsv")
    dataset = open_series(path)
    assert close(restored(dataset), ROWS[:, None])
    assert [dataset.class_names[number] for number in dataset.labels()] == ["-1", "1", "2", "1", "-1", "1", "2"]
    assert "the first column, of a few whole numbers, is the class" in notes(dataset)
    assert open_series(path, window=3).channels.names[0] == "column 1"
    plain = open_series(path, conditional=False)
    assert (plain.sample_shape, plain.num_classes) == ((1, 12), 0)


@pytest.mark.parametrize(
    ("first", "rows", "name"),
    [
        ([0] * 7, ROWS, "set.tsv"),  # walks begin with 0
        (range(7), ROWS, "set.tsv"),
        ([0, 1, 0, 1, 0, 1, 0.5], ROWS, "set.tsv"),
        ([0, 1, 0, 1, 0, 1, ""], ROWS, "set.tsv"),
        ([0, 1, 0, 1, 0, 1, 0], ROWS.round(), "set.tsv"),
        ([0, 1, 0, 1, 0, 1, 0], ROWS, "set.txt"),
    ],
    ids=["constant", "many", "fraction", "missing", "whole", "txt"],
)
def test_other_first_columns_are_steps(tmp_path, first, rows, name):
    dataset = open_series(written(tmp_path, ucr(first, rows), name))
    assert (dataset.sample_shape, dataset.num_classes) == ((1, 13), 0)


def test_labels_that_are_numbers_stay_a_channel_with_a_note(tmp_path):
    dataset = open_series(written(tmp_path, "a,class\n1,0\n2,1\n3,0\n"), window=2)
    assert dataset.channels.names == ("a", "class")
    assert "'class' of numbers is a channel" in notes(dataset)


@pytest.mark.parametrize("name", ["time", "value"])
def test_numbers_that_do_not_run_on_are_no_times(tmp_path, name):
    values = [3, 1, 2] if name == "time" else [1, 2, 3]
    path = written(tmp_path, f"{name},b\n" + "".join(f"{v},{v % 2}\n" for v in values))
    assert open_series(path, window=2).channels.names == (name, "b")


LONG = "a,b\n" + "1,2\n3,4\n" * 10


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        (" \n\n", {}, "is empty"),
        (b"PK\3\4\0\0", {}, "binary file"),
        (b"a,b\n1,\xff\n", {}, "not text in UTF-8"),
        ("a,b\n", {}, "no rows"),
        ('""\n', {}, "no rows"),
        (
            LONG,
            {"window": None},
            r"pass --window N \(steps a sample\); .*set.csv is one long table of 20 rows and 2 col",
        ),
        ("a,b,c,d,e,f,g,h,i\n" + "1,2,3,4,5,6,7,8,9\n" * 2, {"window": None}, "table of 2 rows and 9 columns"),
        ("1,2\n3,4\n", {"window": None}, "table of 2 rows and 2 columns"),
        ("a,b\n1,2\n3\n", {}, "line 3 has 1 cells, the first has 2"),
        ("a,b\n1,2\n3,4,5\n", {}, "line 3 has 3 cells"),
        (LONG + "\n5,x y\n", {}, "line 23, column 'b' holds 'x y', which is not a number"),
        ("a,b\n1,red\n2,blue\n3,red\n", {}, "column 'b' of .* is text, e.g. 'red': remove it .*--field b"),
        ("a;b\n1,5;2,5\n2,5;3,5\n", {}, "decimal point"),
        ("class,b\n" + "".join(f"n{i},{i}\n" for i in range(101)), {}, "column 'class' has over 100 labels, remove"),
        ("class,label,b\nx,y,1\nx,y,2\n", {}, "2 columns of class labels"),
        ("date,label\n2020-01-01,y\n2020-01-02,y\n", {}, "no column of numbers"),
        (LONG, {"window": 21}, "window of 21 steps is longer than .*set.csv with 20"),
        ("a,b\n1,2\n", {}, "no series of .* has the 2 steps that a window needs: add rows"),
        ("a,b\n1,2\n2,3\n", {}, r"only one sample.*\(add more rows\)"),
        (LONG, {"window": 20}, "only one sample"),
        (LONG, {"window": 1}, "window must be a whole number of at least 2"),
        (LONG, {"window": True}, "window must be a whole number"),
        (LONG, {"stride": 0}, "stride must be a whole number of at least 1"),
        (LONG, {"window": None, "stride": 2}, "pass --window"),
        ("a,b\n1,2\n1,2\n1,2\n", {}, "every channel of .* is constant"),
        ("a,b\n1,\n2,?\n3,\n", {}, "channel 'b' of .* holds no numbers"),
        ("a,b\n1,\n,2\n3,\n,1\n", {}, "all 3 windows of .* have gaps .*--fill-gaps"),
        ("a,b\n1,2\n3,inf\n", {}, "line 3, column 'b' holds inf"),
        ("a,b\n1,2\n3,-1e300\n", {}, "line 3, column 'b' holds -1e.300"),
        ('a,b\n1,"2\n' + "3,4\n" * 60000, {}, "cannot read .* as a table"),
    ],
)
def test_unusable_text_is_one_clear_line(tmp_path, text, options, message):
    with pytest.raises(DataError, match=message) as caught:
        open_series(written(tmp_path, text), **{"window": 2, **options})
    assert "\n" not in str(caught.value)


def test_parquet_without_its_package_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DataError, match=r'pip install "sparring\[series\]"'):
        open_series(written(tmp_path, "x", "a.parquet"), window=2)


def test_parquet(tmp_path, monkeypatch):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(tables, "BLOCK_CELLS", 30)
    columns = {
        "when": pyarrow.array(np.arange(60), pyarrow.timestamp("s")),
        "a": TABLE[:, 0],
        "b": pyarrow.array([None if row == 5 else float(v) for row, v in enumerate(TABLE[:, 1])]),
        "c": pyarrow.array(["?" if row == 50 else repr(float(v)) for row, v in enumerate(TABLE[:, 2])]),
        "label": pyarrow.array(["x"] * 30 + ["y"] * 30).dictionary_encode(),
    }
    parquet.write_table(pyarrow.table(columns), tmp_path / "a.parquet")
    dataset = open_series(str(tmp_path / "a.parquet"), window=4)
    kept = [s for s in range(57) if not {5, 50} & set(range(s, s + 4)) and (s < 27 or s >= 30)]
    assert close(restored(dataset), windows(TABLE, 4)[kept])
    assert dataset.class_names == ["x", "y"]
    assert "'when' holds times" in notes(dataset)
    with pytest.raises(DataError, match="one long table of 60 rows and 5 columns"):
        open_series(str(tmp_path / "a.parquet"))
    with pytest.raises(DataError, match="as Parquet"):
        open_series(written(tmp_path, "PAR1xxxx", "b.parquet"), window=4)
    parquet.write_table(pyarrow.table({"a": [[1], [2]]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match=r"column 'a' .* is text"):
        open_series(str(tmp_path / "a.parquet"), window=2)


@pytest.mark.parametrize(
    ("array", "window", "expected"),
    [
        (ROWS, None, ROWS[:, None]),
        (TABLE.reshape(5, 12, 3), None, TABLE.reshape(5, 12, 3).transpose(0, 2, 1)),
        (TABLE, 24, windows(TABLE, 24)),
        (TABLE[:, 0], 24, windows(TABLE[:, :1], 24)),
        (ROWS, 9, np.concatenate([windows(row[:, None], 9) for row in ROWS])),
        (TABLE.reshape(5, 12, 3), 11, np.concatenate([windows(rows, 11) for rows in TABLE.reshape(5, 12, 3)])),
        (np.asfortranarray(TABLE.astype(">f8")), 24, windows(TABLE, 24)),
        (np.arange(20, dtype=np.uint16), 4, windows(np.arange(20.0)[:, None], 4)),
        (np.arange(6).reshape(2, 3) % 2 == 0, None, (np.arange(6.0).reshape(2, 1, 3) % 2 == 0) * 1.0),
    ],
    ids=["NT", "NTC", "long", "T", "NT cut", "NTC cut", "order", "uint16", "bool"],
)
@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_layouts_of_arrays(tmp_path, array, window, expected, suffix):
    path = tmp_path / f"set.{suffix}"
    (np.savez if suffix == "npz" else np.save)(path, array)
    dataset = open_series(str(path), window=window)
    assert dataset.sample_shape == expected.shape[1:]
    assert close(restored(dataset), expected)


@pytest.mark.parametrize(
    ("array", "window", "message"),
    [
        (TABLE[:, 0], None, "pass --window N .* one long series of 60 steps"),
        (np.full((4, 5), "x"), None, "<U1 values"),
        (np.zeros((4, 5), complex), None, "complex128 values"),
        (np.full((4, 5), None), None, "Python objects"),
        (np.zeros((2, 2, 2, 2)), None, "shape"),
        (np.float64(3), 2, "shape"),
        (np.zeros((4, 0)), None, "shape|cannot read"),
        (np.full((4, 5), NAN), None, "no series of .* holds a number"),
        (np.array([[1.0, NAN, 2], [3, NAN, 2]]), None, "all 2 series of .* have gaps"),
        (np.array([[1.0, 2], [3, -np.inf]]), None, "series 2, step 2, channel 1 holds -inf"),
        (np.array([[1.0, 2], [3, 4], [np.inf, 5]]), 2, "row 3, channel 1 holds inf"),
        (ROWS[:1], None, "only one sample"),
        (ROWS[:, :1], None, "one step"),
        (ROWS, 13, "window of 13 steps is longer than .* with 12"),
    ],
)
@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_unusable_arrays_are_one_clear_line(tmp_path, array, window, message, suffix):
    path = tmp_path / f"set.{suffix}"
    (np.savez if suffix == "npz" else np.save)(path, array)
    with pytest.raises(DataError, match=message):
        open_series(str(path), window=window)


def test_arrays_that_promise_too_much_or_leave_a_doubt(tmp_path):
    huge = npy(np.zeros((10, 11111)), "(99999999, 99)")
    with pytest.raises(DataError, match="cannot read"):
        open_series(written(tmp_path, huge, "a.npy"), window=2)
    with pytest.raises(DataError, match="a, b: name the array of series 'series'"):
        open_series(saved(tmp_path, a=ROWS, b=ROWS))
    saved(tmp_path, a=ROWS)
    (tmp_path / "set.npz").rename(tmp_path / "set.npy")
    with pytest.raises(DataError, match=r"rename it to \.npz"):
        open_series(str(tmp_path / "set.npy"))


def test_parquet_with_any_byte_changed_is_read_or_refused(tmp_path):
    """Some changes name a text that the dictionary lacks."""
    pyarrow = pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table({"a": [f"{n}.5" for n in range(20)]}), path)
    content, refused = path.read_bytes(), 0
    for place in range(0, len(content), 2):
        path.write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        try:
            open_series(str(path), window=4)
        except DataError:
            refused += 1
    assert refused > 10
