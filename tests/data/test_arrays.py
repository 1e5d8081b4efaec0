import gzip
import io
import re
import struct

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparring.data import DataError, arrays
from sparring.modalities.registry import open_dataset

RANDOM = np.random.default_rng(0)
GREY = RANDOM.integers(0, 256, (6, 5, 7), dtype=np.uint8)
COLOUR = RANDOM.integers(0, 256, (6, 5, 7, 3), dtype=np.uint8)


def saved(tmp_path, **arrays):
    np.savez(tmp_path / "set.npz", **arrays)
    return str(tmp_path / "set.npz")


def pixels(dataset):
    return (dataset.batch(torch.arange(len(dataset)))[0] * 127.5 + 127.5).round().numpy().astype(int)


@pytest.mark.parametrize(
    ("images", "expected"),
    [(GREY, GREY[:, None]), (COLOUR, COLOUR.transpose(0, 3, 1, 2)), (COLOUR.transpose(0, 3, 1, 2),) * 2],
    ids=["NHW", "NHWC", "NCHW"],
)
@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_layouts(tmp_path, images, expected, suffix):
    path = tmp_path / f"set.{suffix}"
    (np.savez if suffix == "npz" else np.save)(path, images)
    dataset = open_dataset(str(path))
    assert dataset.sample_shape == expected.shape[1:]
    assert np.array_equal(pixels(dataset), expected)
    assert dataset.num_classes == 0


def test_a_small_square_image_is_not_taken_for_channels(tmp_path):
    assert open_dataset(saved(tmp_path, x=np.zeros((5, 3, 4, 4), np.uint8))).sample_shape == (3, 4, 4)


@pytest.mark.parametrize(
    ("images", "value_range"),
    [
        (GREY, "uint8 0..255"),
        (GREY.astype(np.int64), "int64 0..255"),
        (GREY.astype(np.uint16) * 257, "uint16 0..65535"),
        (GREY / 255, "float64 [0, 1]"),
        (GREY.astype(np.float32) / 127.5 - 1, "float32 [-1, 1]"),
        (GREY.astype(np.float16), "float16 [0, 255]"),
        (GREY.astype(">f4"), "float32 [0, 255]"),
    ],
)
def test_value_ranges_are_told_apart(tmp_path, images, value_range):
    dataset = open_dataset(saved(tmp_path, images=images))
    assert dataset.value_range == dataset.describe()["value_range"] == value_range
    assert np.array_equal(pixels(dataset), GREY[:, None])


def test_booleans_are_black_and_white(tmp_path):
    assert set(pixels(open_dataset(saved(tmp_path, x=GREY > 100))).ravel()) == {0, 255}


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.full((2, 4, 4), np.nan), "NaN"),
        (np.full((2, 4, 4), np.inf), "NaN or infinite"),
        (np.linspace(-3, 3, 32).reshape(2, 4, 4), "from -3 to 3"),
        (np.full((2, 4, 4), -1), "from -1 to -1"),
        (np.full((2, 4, 4), "x"), "str"),
        (np.full((2, 4, 4), 1j), "complex"),
        (np.full((2, 4, 4), None), "Python objects"),
        (np.zeros((2, 9, 9, 9)), "shape"),
        (np.zeros((0, 4, 4)), "shape"),
        (np.float64(3), "shape"),
    ],
)
def test_unusable_arrays_are_data_errors(tmp_path, images, message):
    with pytest.raises(DataError, match=message):
        open_dataset(saved(tmp_path, images=images))


@pytest.mark.parametrize("suffix", ["npz", "npy"])
@pytest.mark.parametrize("array", [np.linspace(-3, 3, 144).reshape(2, 24, 3), np.full((2, 24, 3), np.nan)])
def test_what_may_be_series_is_told_how_they_are_read(tmp_path, array, suffix):
    path = tmp_path / f"set.{suffix}"
    (np.savez if suffix == "npz" else np.save)(path, array)
    with pytest.raises(DataError, match=r"series \(N, T, C\) are read with --window .* under the name 'series'"):
        open_dataset(str(path))


def test_rows_named_as_pictures_are_told_how_series_are_read(tmp_path):
    with pytest.raises(DataError, match=r"\(N, T\) are read under the name 'series', one long table .* --window"):
        open_dataset(saved(tmp_path, images=GREY[0]))


@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_an_array_of_rows_is_one_series_a_row_and_says_how_it_is_one_table(tmp_path, suffix):
    path = str(tmp_path / f"set.{suffix}")
    (np.savez if suffix == "npz" else np.save)(path, RANDOM.normal(size=(100, 24)))
    rows, table = open_dataset(path), open_dataset(path, window=24)
    assert (rows.sample_shape, len(rows), table.sample_shape, len(table)) == ((1, 24), 100, (24, 24), 77)
    assert "with --window it is one table of 100 steps and 24 channels" in rows.notes[0]
    assert "without --window it is 100 series of 24 steps" in table.notes[0]
    (np.savez if suffix == "npz" else np.save)(path, RANDOM.normal(size=100))
    with pytest.raises(DataError, match=r"pass --window N .* one long series of 100 steps"):
        open_dataset(path)


@pytest.mark.parametrize("window", [None, 3])
@pytest.mark.parametrize("suffix", ["npz", "npy"])
def test_a_broken_file_is_told_from_one_of_objects(tmp_path, suffix, window):
    path = tmp_path / f"set.{suffix}"
    path.write_bytes(b"garbage" * 9)
    with pytest.raises(DataError, match="it is broken, or was not written by NumPy"):
        open_dataset(str(path), window=window)
    (np.savez if suffix == "npz" else np.save)(path, np.array([{}, 1]))
    with pytest.raises(DataError, match="arrays of Python objects are not read"):
        open_dataset(str(path), window=window)


@pytest.mark.parametrize(("key", "named"), [("x", False), ("arr_0", False), ("walks", False), ("images", True)])
def test_an_unnamed_array_of_floats_says_that_it_was_taken_for_pictures(tmp_path, key, named):
    floats, said = np.linspace(0, 1, 144).reshape(2, 24, 3), "read as pictures of 24x3; .* pass --window 24 or name"
    found = open_dataset(saved(tmp_path, **{key: floats}))
    assert found.sample_shape == (1, 24, 3)
    assert [bool(re.search(said, note)) for note in found.notes] == [True] * (not named)
    assert not open_dataset(saved(tmp_path, **{key: GREY})).notes
    assert not open_dataset(saved(tmp_path, **{key: COLOUR / 255})).notes
    np.save(tmp_path / "set.npy", floats)
    (note,) = open_dataset(str(tmp_path / "set.npy")).notes
    assert re.search(said, note)
    assert open_dataset(str(tmp_path / "set.npy"), window=24).sample_shape == (3, 24)  # as the note promises


@pytest.mark.parametrize(
    ("labels", "names", "numbers"),
    [
        (np.array([0, 7, 7, 10, 0, 0]), ["0", "7", "10"], [0, 1, 1, 2, 0, 0]),
        (np.array([[1], [0], [0], [1], [1], [0]], np.uint8), ["0", "1"], [1, 0, 0, 1, 1, 0]),
        (np.array([1.0, 0, 0, 0, 0, 0]), ["0", "1"], [1, 0, 0, 0, 0, 0]),
        (np.array(["é", "b", "b", "b", "b", "b"]), ["b", "é"], [1, 0, 0, 0, 0, 0]),
        (np.array([b"a", b"b", b"a", b"b", b"b", b"b"]), ["a", "b"], [0, 1, 0, 1, 1, 1]),
    ],
)
@pytest.mark.parametrize("key", ["labels", "y", "label"])
def test_labels_beside_the_images(tmp_path, labels, names, numbers, key):
    dataset = open_dataset(saved(tmp_path, **{"faces": GREY, key: labels}))
    assert dataset.class_names == names
    assert dataset.labels().tolist() == numbers
    assert dataset.batch(torch.tensor([3]))[1].tolist() == numbers[3:4]


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(5, int), "6 images but 5 labels"),
        (np.zeros((6, 3)), "shape"),
        (np.linspace(0, 1, 6), "float64"),
        (np.array(3), "shape"),
    ],
)
def test_unusable_labels_matter_only_if_asked_for(tmp_path, labels, message):
    path = saved(tmp_path, images=GREY, labels=labels)
    with pytest.raises(DataError, match=message):
        open_dataset(path)
    dataset = open_dataset(path, conditional=False)
    assert dataset.num_classes == 0
    assert any("ignored" in note for note in dataset.describe()["notes"])


def test_keys_that_leave_a_doubt_are_listed(tmp_path):
    with pytest.raises(DataError, match="holds a, b: name the image array 'images'"):
        open_dataset(saved(tmp_path, a=GREY, b=GREY))
    dataset = open_dataset(saved(tmp_path, x=GREY, mask=GREY))
    assert "left out: mask" in dataset.describe()["notes"][0]


def test_labels_from_a_file_with_one_a_row(tmp_path):
    path = saved(tmp_path, images=GREY, labels=np.zeros(6))
    rows = ["b", "a", "a", "a", "a", "a"]
    for text in ("\n".join(rows), "\n".join(["label", *rows])):
        (tmp_path / "labels.csv").write_text(text)
        assert open_dataset(path, labels=str(tmp_path / "labels.csv")).labels().tolist() == [1, 0, 0, 0, 0, 0]
    for text, message in (("a\nb\n", "2 labels for 6 samples"), ("a,b\n" * 6, "one label per row")):
        (tmp_path / "labels.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            open_dataset(path, labels=str(tmp_path / "labels.csv"))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_resolution_crops_the_centre_and_resizes(tmp_path, dtype):
    images = np.zeros((300, 10, 30), dtype)
    images[:, :, 10:20] = np.array(255 if dtype is np.uint8 else 1, dtype)
    dataset = open_dataset(saved(tmp_path, x=images), resolution=5)
    assert dataset.sample_shape == (1, 5, 5)
    assert "5x5" in dataset.describe()["resized"]
    assert (pixels(dataset) == 255).all()
    stripes = np.zeros((2, 64, 64), dtype)
    stripes[:, ::2] = images.max()
    smooth, _ = open_dataset(saved(tmp_path, x=stripes), resolution=8).batch(torch.tensor([0]))
    assert smooth.abs().max() < 0.1


def test_resizing_beyond_memory_is_refused(tmp_path):
    with pytest.raises(DataError, match="GiB"):
        open_dataset(saved(tmp_path, x=np.zeros((600, 2, 2), np.uint8)), resolution=4096)


def test_fingerprint_follows_pixels_and_labels(tmp_path):
    def fingerprint(**arrays):
        return open_dataset(saved(tmp_path, **arrays)).fingerprint

    labels = np.array([0, 1, 0, 1, 0, 1])
    other = GREY.copy()
    other[0, 0, 0] ^= 1
    prints = [
        fingerprint(x=GREY),
        fingerprint(x=other),
        fingerprint(x=GREY, y=labels),
        fingerprint(x=GREY, y=1 - labels),
    ]
    assert len(set(prints)) == 4
    assert prints[0] == fingerprint(x=GREY)


def idx(array, magic=None):
    magic = {3: 0x803, 1: 0x801}[array.ndim] if magic is None else magic
    return struct.pack(f">{1 + array.ndim}I", magic, *array.shape) + array.tobytes()


IDX_LABELS = np.array([3, 1, 3, 1, 3, 9], np.uint8)


@pytest.fixture
def mnist(tmp_path):
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(GREY)))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(
            gzip.compress(idx(IDX_LABELS[: None if part == "train" else 2]))
        )
    return tmp_path


def test_idx_finds_the_labels_beside_it_and_the_training_pair_in_a_folder(mnist):
    for path in (mnist, mnist / "train-images-idx3-ubyte.gz"):
        dataset = open_dataset(str(path))
        assert np.array_equal(pixels(dataset), GREY[:, None])
        assert dataset.class_names == ["1", "3", "9"]
        assert dataset.labels().tolist() == [1, 0, 1, 0, 1, 2]
    with pytest.raises(DataError, match="6 images but 2 labels"):
        open_dataset(str(mnist / "t10k-images-idx3-ubyte.gz"))


def test_idx_labels_may_be_named_or_missing(mnist):
    lone = mnist / "lone.gz"
    lone.write_bytes(gzip.compress(idx(GREY)))
    assert "no labels" in open_dataset(str(lone)).describe()["notes"][0]
    assert open_dataset(str(lone), labels=str(mnist / "train-labels-idx1-ubyte.gz")).num_classes == 3
    assert open_dataset(str(mnist), conditional=False).num_classes == 0


def test_unpacked_idx_is_read(tmp_path):
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(GREY))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(IDX_LABELS))
    assert open_dataset(str(tmp_path / "train-images-idx3-ubyte")).num_classes == 3


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (gzip.compress(idx(GREY))[:-30], "cannot read"),
        (gzip.compress(idx(GREY)[:-1]), "promises 210 bytes of images but holds only 209"),
        (gzip.compress(idx(GREY) + b"x"), "but holds more"),
        (gzip.compress(idx(GREY, magic=0x802)), "first bytes are 00000802"),
        (gzip.compress(idx(IDX_LABELS)), "not an IDX file of images"),
        (gzip.compress(b"ab"), "first bytes are 6162"),
        (b"", "first bytes are missing"),
        (gzip.compress(idx(GREY)[:9]), "cut off in its header"),
        (gzip.compress(struct.pack(">4I", 0x803, *[2**32 - 1] * 3)), "holds only 0"),
        (gzip.compress(idx(np.zeros((0, 4, 4), np.uint8))), "shape"),
    ],
    ids=["gzip", "short", "long", "magic", "labels", "tiny", "empty", "header", "huge", "none"],
)
def test_broken_idx_is_a_data_error(tmp_path, content, message):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(DataError, match=message):
        open_dataset(str(tmp_path / "a.gz"))


def whole_npz():
    buffer = io.BytesIO()
    np.savez_compressed(buffer, images=GREY, labels=IDX_LABELS)
    return buffer.getvalue()


def whole_npy():
    buffer = io.BytesIO()
    np.save(buffer, GREY)
    return buffer.getvalue()


CONTENTS = {"npz": whole_npz(), "npy": whole_npy(), "gz": gzip.compress(idx(GREY)), "gz ": idx(GREY)}


@pytest.mark.parametrize("kind", CONTENTS)
@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_bytes_give_a_data_error_or_a_set(tmp_path_factory, kind, data):
    if data.draw(st.booleans()):
        content = bytearray(data.draw(st.binary(max_size=200)))
    else:
        content = bytearray(CONTENTS[kind][: len(CONTENTS[kind]) - data.draw(st.sampled_from([0, 0, 1, 40]))])
        places = st.one_of(st.integers(0, 120), st.integers(0, len(content) - 1))
        for place, value in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=5)):
            content[place] = value
    path = tmp_path_factory.mktemp("fuzz") / f"set.{kind.strip()}"
    path.write_bytes(content)
    try:
        dataset = open_dataset(str(path))
    except DataError:
        return
    samples, _ = dataset.batch(torch.arange(len(dataset)))
    assert samples.abs().max() <= 1 or dataset.channels is not None  # a shape of two numbers is one of series


def test_pickled_npy_is_never_run(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object))
    with pytest.raises(DataError, match="Python objects"):
        arrays.open_numpy(str(tmp_path / "a.npy"))
