"""Samples cut out of series: windows, ends, gaps, labels and scaling; and UCR's .ts files."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.data import DataError
from sparring.data.series import is_series, open_series

from series_files import NAN, RANDOM, ROWS, TABLE, close, lines, notes, npy, restored, saved, windows, written

SHARED = Path(__file__).parents[3] / "shared" / "data" / "series"


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


def test_series_that_end_earlier_are_masked(tmp_path):
    array = TABLE.reshape(5, 12, 3).copy()
    array[1, 7:] = NAN
    array[3, 1:] = NAN
    dataset = open_series(saved(tmp_path, series=array))
    assert dataset.channels.masked
    assert dataset.sample_shape == (4, 12)
    samples = dataset.batch(torch.tensor([1]))[0]
    assert (samples[0, 3] > 0).tolist() == [True] * 7 + [False] * 5
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
    assert f"{17 - len(kept)} windows with gaps were left out; --fill-gaps interpolates" in notes(dataset)
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


def test_what_is_not_to_be_learnt_from_may_be_one_sample_and_constant(tmp_path):
    path = written(tmp_path, "a,b,c\n" + lines(TABLE[:8]))
    with pytest.raises(DataError, match=r"only one sample.*\(pass a smaller --window\)"):
        open_series(path, window=8)
    with pytest.raises(DataError, match=r"only one sample.*\(pass --window N\)"):
        open_series(saved(tmp_path, series=ROWS[:1]))
    assert close(restored(open_series(path, window=8, to_learn=False)), TABLE[:8].T[None])
    row = written(tmp_path, lines(ROWS[:1]))
    with pytest.raises(DataError, match=r"only one sample.*\(add more rows"):
        open_series(row)
    assert close(restored(open_series(row, to_learn=False)), ROWS[:1, None])
    flat = written(tmp_path, "a,label\n" + "3,walk\n" * 8)
    with pytest.raises(DataError, match="constant"):
        open_series(flat, window=4)
    assert close(restored(open_series(flat, window=8, to_learn=False)), np.full((1, 1, 8), 3.0))


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
    dataset = open_series(written(tmp_path, "a,b\n1,1e-6\n2,1e-6\n3,1e-6\n4,1e-6\n"), window=2)
    assert "the channel 'b' is constant" in notes(dataset)
    assert not dataset.batch(torch.arange(3))[0][:, 1].any()
    made = dataset.channels.restore(torch.randn(9, 2, 2))
    assert (made[:, 1] == torch.tensor(1e-6)).all()
    assert made[:, 0].unique().numel() > 1


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
    assert is_series(saved(tmp_path, x=ROWS))
    assert not is_series(saved(tmp_path, x=ROWS[..., None]))


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
