import io
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.data import DataError, tables
from sparring.data.series import is_series, open_series

SHARED = Path(__file__).parents[3] / "shared" / "data" / "series"
RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal([3, -40, 1e4], [1, 5, 2e3], (60, 3)).astype(np.float32)
ROWS = RANDOM.normal(2, 3, (7, 12)).astype(np.float32)
NAN = np.nan


def written(tmp_path, text, name="set.csv"):
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(tmp_path / name)


def lines(values, mark=","):
    return "\n".join(mark.join("" if np.isnan(v) else repr(float(v)) for v in row) for row in values) + "\n"


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    return str(tmp_path / "set.npz")


def restored(dataset):
    """All samples in the file's own units: (N, C, T), NaN beyond a series' end."""
    return dataset.channels.restore(dataset.batch(torch.arange(len(dataset)))[0]).numpy()


def windows(table, size, stride=1):
    return np.stack([table[start : start + size].T for start in range(0, len(table) - size + 1, stride)])


def close(left, right):
    return left.shape == right.shape and np.allclose(left, right, rtol=1e-5, atol=1e-5, equal_nan=True)


def notes(dataset):
    return " | ".join(dataset.describe()["notes"])


@pytest.mark.parametrize(("mark", "name"), [(",", "a.csv"), (";", "a.csv"), ("\t", "a.tsv"), (", ", "a.txt")])
@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("stride", [None, 1, 7])
def test_windows_are_the_slices_of_the_table(tmp_path, mark, name, header, stride):
    text = (mark.join(["Open", "Low", "Volume"]) + "\n" if header else "") + lines(TABLE, mark)
    dataset = open_series(written(tmp_path, text, name), window=8, stride=stride)
    assert dataset.sample_shape == (3, 8)
    assert close(restored(dataset), windows(TABLE, 8, stride or 1))
    assert dataset.channels.names == (("Open", "Low", "Volume") if header else ("column 1", "column 2", "column 3"))
    assert dataset.held_out is None
    assert dataset.num_classes == 0


def test_scaling_gives_mean_0_and_standard_deviation_1_over_the_table(tmp_path):
    dataset = open_series(written(tmp_path, "a,b,c\n" + lines(TABLE)), window=2, stride=2)
    assert np.allclose(dataset.channels.offset, TABLE.mean(0, dtype=float))
    assert np.allclose(dataset.channels.scale, TABLE.std(0, dtype=float))
    samples = dataset.batch(torch.arange(len(dataset)))[0]
    assert torch.allclose(samples.mean((0, 2)), torch.zeros(3), atol=1e-4)
    assert torch.allclose((samples**2).mean((0, 2)), torch.ones(3), atol=1e-4)
    low, high = TABLE[:, 0].min(), TABLE[:, 0].max()
    assert dataset.value_range == f"per channel, e.g. a {low:.5g}..{high:.5g}"


def test_batches_are_float32_gathered_in_the_asked_order(tmp_path):
    dataset = open_series(written(tmp_path, lines(TABLE)), window=5)
    samples, classes = dataset.batch(torch.tensor([9, 0, 9]))
    assert samples.dtype == torch.float32
    assert samples.is_contiguous()
    assert torch.equal(samples[0], samples[2])
    assert close(dataset.channels.restore(samples).numpy(), windows(TABLE, 5)[[9, 0, 9]])
    assert classes.tolist() == [0, 0, 0]
    assert dataset.table.numel() == TABLE.size  # the windows are not laid out


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


def test_series_that_end_earlier_are_masked(tmp_path):
    array = TABLE.reshape(5, 12, 3).copy()
    array[1, 7:] = NAN
    array[3, 1:] = NAN
    dataset = open_series(saved(tmp_path, series=array))
    assert dataset.channels.masked
    assert dataset.sample_shape == (4, 12)
    samples = dataset.batch(torch.tensor([1]))[0]
    assert samples[0, 3].tolist() == [1] * 7 + [-1] * 5
    assert not samples[0, :3, 7:].any()
    assert samples.isfinite().all()
    assert close(restored(dataset), array.transpose(0, 2, 1))
    assert "1 to 12 steps" in notes(dataset)
    cut = open_series(saved(tmp_path, series=array), window=6)
    assert not cut.channels.masked
    ends = (12, 7, 12, 1, 12)
    assert close(restored(cut), np.concatenate([windows(array[i, :end], 6) for i, end in enumerate(ends) if end > 5]))
    assert "1 of 5 series shorter than the window of 6 steps" in notes(cut)


def test_short_rows_of_a_csv_end_in_missing_cells(tmp_path):
    rows = ROWS.copy()
    rows[2, 9:] = NAN
    dataset = open_series(written(tmp_path, lines(rows)))
    assert dataset.channels.masked
    assert close(restored(dataset), rows[:, None])


@pytest.mark.parametrize("token", ["", "NaN", "nan", "?", "NA", "null", " "])
def test_windows_with_gaps_are_left_out_or_interpolated(tmp_path, token):
    table = np.stack([np.arange(20.0), RANDOM.normal(size=20)], 1)
    text = [[repr(float(cell)) for cell in row] for row in table]
    for row, column in ((0, 0), (9, 0), (10, 0), (19, 0)):
        text[row][column] = token
    path = written(tmp_path, "ramp,b\n" + "\n".join(map(",".join, text)))
    dataset = open_series(path, window=4)
    kept = [start for start in range(17) if not {0, 9, 10, 19} & set(range(start, start + 4))]
    assert close(restored(dataset), windows(table, 4)[kept])
    assert f"{17 - len(kept)} windows with gaps were left out; --data.fill_gaps true interpolates" in notes(dataset)
    filled = open_series(path, window=4, fill_gaps=True)
    table[0, 0], table[19, 0] = 1, 18  # the nearest, where there is nothing to interpolate between
    assert close(restored(filled), windows(table, 4))
    assert "4 missing values were interpolated" in notes(filled)


def test_series_with_gaps_are_left_out_or_interpolated_inside_themselves(tmp_path):
    rows = ROWS.copy()
    rows[1, 0] = rows[4, 3:5] = NAN
    rows[6, 10:] = NAN  # an end, not a gap
    path = saved(tmp_path, series=rows, labels=np.arange(7))
    dataset = open_series(path)
    assert close(restored(dataset), rows[[0, 2, 3, 5, 6], None])
    assert dataset.class_names == ["0", "2", "3", "5", "6"]
    assert "2 series with gaps were left out" in notes(dataset)
    filled = open_series(path, fill_gaps=True)
    rows[1, 0] = rows[1, 1]  # not from the series before
    rows[4, 3:5] = rows[4, 2] + (rows[4, 5] - rows[4, 2]) * np.array([1, 2]) / 3
    assert close(restored(filled), rows[:, None])
    assert "3 missing values" in notes(filled)


def test_a_series_without_any_value_of_a_channel_cannot_be_filled(tmp_path):
    array = TABLE.reshape(5, 12, 3).copy()
    array[2, :, 1] = NAN
    dataset = open_series(saved(tmp_path, series=array), fill_gaps=True)
    assert len(dataset) == 4
    assert "1 series with gaps were left out; a channel of them is empty" in notes(dataset)


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
        ("Unnamed: 0", [str(day) for day in range(30)]),
    ],
)
def test_times_are_left_out_with_a_note(tmp_path, name, cells):
    quoted = [f'"{cell}"' for cell in [name, *cells]]
    rows = [f"{cell},{row}" for cell, row in zip(quoted, ["a,b,c", *lines(TABLE[:30]).split()], strict=True)]
    dataset = open_series(written(tmp_path, "\n".join(rows)), window=4)
    assert dataset.channels.names == ("a", "b", "c")
    assert close(restored(dataset), windows(TABLE[:30], 4))
    assert f"the column {name!r} holds times and was left out" in notes(dataset)


def test_labels_that_are_numbers_stay_a_channel_with_a_note(tmp_path):
    dataset = open_series(written(tmp_path, "a,class\n1,0\n2,1\n3,0\n"), window=2)
    assert dataset.channels.names == ("a", "class")
    assert "'class' of numbers is a channel" in notes(dataset)


@pytest.mark.parametrize("name", ["time", "value"])
def test_numbers_that_do_not_run_on_are_no_times(tmp_path, name):
    values = [3, 1, 2] if name == "time" else [1, 2, 3]
    path = written(tmp_path, f"{name},b\n" + "".join(f"{v},{v % 2}\n" for v in values))
    assert open_series(path, window=2).channels.names == (name, "b")


def test_a_column_of_labels_gives_the_windows_inside_one_label_their_class(tmp_path):
    names = ["walk"] * 20 + ["run"] * 3 + [""] * 7 + ["walk"] * 10 + ["run"] * 20
    text = "a,b,c,Activity\n" + "".join(f"{row},{n}\n" for row, n in zip(lines(TABLE).split(), names, strict=True))
    path = written(tmp_path, text)
    dataset = open_series(path, window=5)
    inside = [start for start in range(56) if set(names[start : start + 5]) in ({"walk"}, {"run"})]
    assert close(restored(dataset), windows(TABLE, 5)[inside])
    assert [dataset.class_names[number] for number in dataset.labels()] == [names[start] for start in inside]
    assert "7 rows without a label were left out" in notes(dataset)
    plain = open_series(path, window=5, conditional=False)
    assert (len(plain), plain.num_classes) == (56, 0)
    assert "ignored as asked" in notes(plain)
    wide = open_series(path, window=21)
    assert (len(wide), wide.num_classes) == (40, 0)
    assert "no window of 21 steps lies inside one label" in notes(wide)


def test_labels_beside_arrays_and_in_a_file(tmp_path):
    path = saved(tmp_path, series=ROWS, y=np.array(list("bbaabba")), other=np.zeros(2))
    dataset = open_series(path)
    assert dataset.class_names == ["a", "b"]
    assert dataset.labels().tolist() == [1, 1, 0, 0, 1, 1, 0]
    assert "left out: other" in notes(dataset)
    labels = written(tmp_path, "label\n" + "x\ny\nx\nx\nx\nx\nx\n", "labels.csv")
    assert open_series(path, labels=labels).class_names == ["x", "y"]
    assert open_series(path, labels=labels, window=11).labels().tolist() == [0, 0, 1, 1] + [0] * 10
    assert open_series(path, conditional=False).num_classes == 0
    with pytest.raises(DataError, match="6 labels for 7 samples"):
        open_series(path, labels=written(tmp_path, "x\n" * 6, "labels.csv"))
    with pytest.raises(DataError, match="7 labels but has 6"):
        open_series(saved(tmp_path, series=ROWS, y=np.zeros(6)))
    by_row = written(tmp_path, "x\n" * 30 + "y\n" * 30, "labels.csv")
    dataset = open_series(written(tmp_path, lines(TABLE)), labels=by_row, window=30)
    assert dataset.labels().tolist() == [0, 1]


TS = """#about
@problemName Little
@timeStamps false
@dimensions 2
@equalLength {equal}
@classLabel true up down

@data
1,2,3,4:10,20,30,41:up
4,3,2,1:40,30,20,11:down
{rest}
"""


def test_ts_with_its_test_file(tmp_path):
    path = written(tmp_path, TS.format(equal="true", rest="1,2,?,4:1,2,3,4:up"), "Little_TRAIN.ts")
    assert open_series(path).held_out is None
    beside = written(tmp_path, TS.format(equal="true", rest="5,5,5,5:5,5,5,5:up"), "Little_TEST.ts")
    dataset = open_series(path)
    assert dataset.class_names == ["down", "up"]
    assert dataset.labels().tolist() == [1, 0]
    assert close(restored(dataset)[0], np.array([[1, 2, 3, 4], [10, 20, 30, 41.0]]))
    assert "1 series with gaps" in notes(dataset)
    held_out = dataset.held_out
    assert held_out.name == beside
    assert held_out.class_names == dataset.class_names
    assert held_out.labels().tolist() == [1, 0, 1]
    assert held_out.channels == dataset.channels
    assert close(restored(held_out)[2], np.full((2, 4), 5.0))
    assert len(open_series(path, fill_gaps=True)) == 3
    for rest, reason in (
        ("1,2,3,4:1,2,3,4:sideways", "class 'sideways'"),
        ("1,2:1,2,3:up", "different lengths"),
    ):
        written(tmp_path, TS.format(equal="true", rest=rest), "Little_TEST.ts")
        dataset = open_series(path)
        assert dataset.held_out is None
        assert reason in notes(dataset)


def test_ts_of_unequal_lengths_and_windows(tmp_path):
    path = written(tmp_path, TS.format(equal="false", rest="1,2:1,2:up"), "Little_TRAIN.ts")
    dataset = open_series(path)
    assert dataset.sample_shape == (3, 4)
    assert close(restored(dataset)[2], np.array([[1, 2, NAN, NAN]] * 2))
    assert "2 to 4 steps" in notes(dataset)
    written(tmp_path, TS.format(equal="false", rest="1,2,3,4,5:1,2,3,4,5:up"), "Little_TEST.ts")
    dataset = open_series(path)  # the longest of both files decides, so that neither is cut
    assert dataset.sample_shape == dataset.held_out.sample_shape == (3, 5)
    cut = open_series(path, window=3)
    assert cut.sample_shape == (2, 3)
    assert cut.labels().tolist() == [1, 1, 0, 0]
    assert len(cut.held_out) == 7


def test_ts_of_a_regression_and_without_labels(tmp_path):
    dataset = open_series(written(tmp_path, "@targetLabel true\n@data\n1,2:0.5\n3,5:0.1\n", "a.ts"))
    assert dataset.num_classes == 0
    assert "target values" in notes(dataset)
    dataset = open_series(written(tmp_path, "@classLabel false\n@data\n1,2:0,1\n3,5:0,2\n", "a.ts"))
    assert dataset.sample_shape == (2, 2)


def test_constant_channels_stay(tmp_path):
    dataset = open_series(written(tmp_path, "a,b\n1,0.1\n2,0.1\n3,0.1\n4,0.1\n"), window=2)
    assert "the channel 'b' is constant" in notes(dataset)
    assert dataset.channels.scale[1] == 1
    assert not dataset.batch(torch.arange(3))[0][:, 1].any()


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
        (LONG + "\n5,x y\n", {}, "line 23, column 'b' holds 'x y', which is no number"),
        ("a,b\n1,red\n2,blue\n3,red\n", {}, "column 'b' of .* is text, e.g. 'red': remove it"),
        ("a;b\n1,5;2,5\n2,5;3,5\n", {}, "decimal point"),
        ("class,b\n" + "".join(f"n{i},{i}\n" for i in range(101)), {}, "column 'class' has over 100 labels, remove"),
        ("class,label,b\nx,y,1\nx,y,2\n", {}, "2 columns of class labels"),
        ("date,label\n2020-01-01,y\n2020-01-02,y\n", {}, "no column of numbers"),
        (LONG, {"window": 21}, "window of 21 steps is longer than .*set.csv with 20"),
        ("a,b\n1,2\n", {}, "window of 2 steps is longer than .* with 1"),
        (LONG, {"window": 20}, "only one sample"),
        (LONG, {"window": 1}, "window must be a whole number of at least 2"),
        (LONG, {"window": True}, "window must be a whole number"),
        (LONG, {"stride": 0}, "stride must be a whole number of at least 1"),
        (LONG, {"window": None, "stride": 2}, "pass --window"),
        ("a,b\n1,2\n1,2\n1,2\n", {}, "every channel of .* is constant"),
        ("a,b\n1,\n2,?\n3,\n", {}, "channel 'b' of .* holds no numbers"),
        ("a,b\n1,\n,2\n3,\n,1\n", {}, "all 3 windows of .* have gaps .*--data.fill_gaps true"),
        ("a,b\n1,2\n3,inf\n", {}, "line 3, column 'b' holds inf"),
        ("a,b\n1,2\n3,-1e300\n", {}, "line 3, column 'b' holds -1e.300"),
        ('a,b\n1,"2\n' + "3,4\n" * 60000, {}, "cannot read .* as a table"),
    ],
)
def test_unusable_text_is_one_clear_line(tmp_path, text, options, message):
    with pytest.raises(DataError, match=message) as caught:
        open_series(written(tmp_path, text), **{"window": 2, **options})
    assert "\n" not in str(caught.value)


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


def npy(array, shape=None):
    buffer = io.BytesIO()
    np.save(buffer, array)
    content = buffer.getvalue()
    return content if shape is None else content.replace(repr(array.shape).encode(), shape.encode(), 1)


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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("@data\n", "no series below a line @data"),
        ("@classLabel true a\n", "no series below"),
        ("1,2,3\n", "line 1 is no header"),
        ("@timeStamps true\n@data\n(0,1),(1,2)\n", "time stamps"),
        (TS.format(equal="true", rest="1,2,3,4:up"), "line 11 has 1 channels where the first has 2"),
        (TS.format(equal="true", rest="1,2,3,4:1,2,3:up"), "line 11 has channels of different lengths"),
        (TS.format(equal="true", rest="1,2,3,4:1,2,x,4:up"), "line 11, channel 2, step 3 holds 'x'"),
        (TS.format(equal="true", rest="1,2,inf,4:1,2,1,4:up"), "line 11, channel 1, step 3 holds inf"),
        (TS.format(equal="true", rest="").replace("dimensions 2", "dimensions 9" * 9), "promises .* but has 2"),
        ("@classLabel true a\n@data\n1,2,3\n", "0 channels"),
    ],
)
def test_broken_ts_is_one_clear_line(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        open_series(written(tmp_path, text, "a.ts"))


def test_unreadable_paths(tmp_path):
    for name in ("no.csv", "no.ts", "no.npy", "no.npz"):
        with pytest.raises(DataError, match="cannot read"):
            open_series(str(tmp_path / name), window=2)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="cannot read"):
        open_series(str(tmp_path / "folder.csv"), window=2)


def test_what_is_taken_for_series(tmp_path):
    assert all(is_series(name) for name in ("a.csv", "a.TSV", "a.txt", "a.parquet", "a_TRAIN.ts"))
    assert not any(is_series(name) for name in ("a.zip", "a.npy", "missing.npz", "folder"))
    assert is_series("a.npy", window=3)
    assert is_series(saved(tmp_path, series=ROWS))
    assert not is_series(saved(tmp_path, images=ROWS))
    assert is_series(saved(tmp_path, images=ROWS), window=3)


def test_the_fingerprint_follows_values_windows_and_labels(tmp_path):
    path = saved(tmp_path, series=ROWS)
    prints = [open_series(path).fingerprint, open_series(path, window=4).fingerprint]
    prints += [open_series(path, window=5).fingerprint, open_series(path, window=4, stride=2).fingerprint]
    assert open_series(path).fingerprint == prints[0]
    prints.append(open_series(saved(tmp_path, series=ROWS, y=np.arange(7) % 2)).fingerprint)
    other = ROWS.copy()
    other[0, 0] += 1
    prints.append(open_series(saved(tmp_path, series=other)).fingerprint)
    assert len(set(prints)) == 6


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


def whole_npz():
    buffer = io.BytesIO()
    np.savez(buffer, series=ROWS, labels=np.arange(7) % 2)
    return buffer.getvalue()


CONTENTS = {
    "csv": (
        "date,a,label\n" + "".join(f"2020-01-{i:02},{i * i % 7}.5,{'xy'[i > 15]}\n" for i in range(1, 29))
    ).encode(),
    "ts": TS.format(equal="true", rest="1,2,?,4:1,2,3,4:up").encode(),
    "npz": whole_npz(),
    "npy": npy(TABLE),
}


@pytest.mark.parametrize("kind", CONTENTS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_give_a_data_error_or_a_set(tmp_path_factory, kind, data):
    if data.draw(st.booleans()):
        alphabet = st.sampled_from(
            [b"1", b"-2.5", b",", b";", b"\n", b'"', b"a", b"@data", b":", b"?", b"nan", b" ", b"\r"]
        )
        content = b"".join(data.draw(st.lists(alphabet, max_size=40))) + data.draw(st.binary(max_size=20))
    else:
        content = bytearray(CONTENTS[kind][: len(CONTENTS[kind]) - data.draw(st.sampled_from([0, 0, 1, 40]))])
        places = st.one_of(st.integers(0, 120), st.integers(0, len(content) - 1))
        for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=5)):
            content[place] = value
    path = tmp_path_factory.getbasetemp() / f"fuzz.{kind}"
    path.write_bytes(content)
    window, fill = data.draw(st.sampled_from([None, 2, 3])), data.draw(st.booleans())
    try:
        dataset = open_series(str(path), window=window, fill_gaps=fill)
    except DataError:
        return
    samples, _ = dataset.batch(torch.arange(len(dataset)))
    assert samples.shape == (len(dataset), *dataset.sample_shape)
    assert samples.isfinite().all()


@pytest.mark.shared
@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the data in ../shared")
def test_real_files():
    stock = open_series(str(SHARED / "timegan_stock_data.csv"), window=24)
    raw = np.loadtxt(SHARED / "timegan_stock_data.csv", delimiter=",", skiprows=1)
    assert stock.sample_shape == (6, 24)
    assert len(stock) == len(raw) - 23
    assert np.allclose(restored(stock), windows(raw, 24), rtol=1e-5, atol=5)  # the volume is about 1e7
    assert np.allclose(restored(stock)[:, :5], windows(raw[:, :5], 24), rtol=1e-5)
    motions = open_series(str(SHARED / "ucr" / "BasicMotions_TRAIN.ts"))
    assert (len(motions), motions.sample_shape, motions.num_classes, len(motions.held_out)) == (40, (6, 100), 4, 40)
    vowels = open_series(str(SHARED / "ucr" / "JapaneseVowels_TRAIN.ts"))
    assert vowels.sample_shape == (13, 29)
    assert vowels.channels.masked
    assert (restored(vowels)[0, 0, 19], np.isnan(restored(vowels)[0, :, 20:]).all()) == (pytest.approx(1.261441), True)
    ecg = open_series(str(SHARED / "ecg_mitbih208_5min_360hz.npz"), window=256, stride=128)
    assert len(ecg) == (108_000 - 256) // 128 + 1
