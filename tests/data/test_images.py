import io
import itertools
import os
import tarfile
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sparring.data import DataError
from sparring.data.dataset import same_data
from sparring.modalities.registry import open_dataset


def encoded(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def grey(value, size=(8, 8)):
    return Image.new("L", size, value)


def first(dataset):
    return dataset.batch(torch.tensor([0]))[0][0]


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return str(folder)


def pack(path, files):
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        mode = {"tar": "w", "gz": "w:gz", "xz": "w:xz"}[path.name.rsplit(".", 1)[1]]
        with tarfile.open(path, mode) as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    return str(path)


TWO_CLASSES = {
    "cat10/a.png": encoded(grey(0)),
    "cat2/a.png": encoded(grey(255)),
    "cat2/b.png": encoded(grey(51)),
}


@pytest.fixture(params=["folder", "set.zip", "set.tar", "set.tar.gz", "set.tar.xz"])
def kind(request):
    return request.param


@pytest.fixture
def make(kind, tmp_path):
    def make(files):
        return write(tmp_path / "set", files) if kind == "folder" else pack(tmp_path / kind, files)

    return make


def by_value(dataset):
    samples, labels = dataset.batch(torch.arange(len(dataset)))
    return {round(float(s.mean() * 127.5 + 127.5)): int(label) for s, label in zip(samples, labels, strict=True)}


def test_class_folders_give_classes_in_natural_order(make):
    dataset = open_dataset(make(TWO_CLASSES))
    assert dataset.class_names == ["cat2", "cat10"]
    assert dataset.sample_shape == (1, 8, 8)
    assert by_value(dataset) == {0: 1, 255: 0, 51: 0}
    assert dataset.describe()["classes"] == {"cat2": 2, "cat10": 1}


STRIPS = {f"{i}.png": encoded(grey(i, (32, 8))) for i in range(3)}
FRAMES = {f"run/video{i}/{j}.png": encoded(grey(i)) for i in range(2) for j in range(3)}
OTHER_FRAMES = {f"jump/video{i}/{j}.png": encoded(grey(i)) for i in range(2) for j in range(3)}
NAMED = {f"video{i}/frame_{j:02d}.png": encoded(grey(i)) for i in range(2) for j in range(3)}


@pytest.mark.parametrize(
    ("files", "what"),
    [(STRIPS, "strips of square"), (FRAMES | OTHER_FRAMES, "CLASS/VIDEO/number"), (NAMED, "by their names")],
)
def test_a_note_says_how_to_read_possible_videos(tmp_path, files, what):
    folder = write(tmp_path, files)
    assert any(what in note and "--frames N" in note for note in open_dataset(folder, resolution=8).notes)
    assert len(open_dataset(folder, frames=3).sample_shape) == 4  # as the note promises


@pytest.mark.parametrize("name", ["{:03d}.png", "scene_{:d}.png"])
@pytest.mark.parametrize("moves", [True, False], ids=["videos", "classes"])
def test_folders_of_frames_are_told_from_classes_of_numbered_pictures(tmp_path, name, moves):
    """Videos are recognised by their pixels: each picture is closest to the next one."""
    random, files = np.random.default_rng(0), {}
    for folder in range(4):
        scene = Image.fromarray(random.integers(0, 256, (9, 4), dtype=np.uint8)).resize((16, 39))
        starts = range(24) if moves else random.permutation(24).tolist()
        for number, start in enumerate(starts):
            files[f"clip{folder}/{name.format(number)}"] = encoded(scene.crop((0, start, 16, start + 16)))
    dataset = open_dataset(write(tmp_path, files))
    assert dataset.num_classes == 4
    assert any("frames of videos, a folder each: pass --frames N" in note for note in dataset.notes) == moves


@pytest.mark.parametrize("files", [TWO_CLASSES, {"1.png": encoded(grey(1, (16, 8)))}, {"a/1.png": encoded(grey(1))}])
def test_other_pictures_get_no_note_on_videos(make, files):
    assert not any("--frames" in note for note in open_dataset(make(files)).notes)


def test_a_folder_around_everything_is_looked_through(make):
    assert open_dataset(make({f"all/{name}": data for name, data in TWO_CLASSES.items()})).num_classes == 2


def test_unconditional_ignores_the_classes_and_says_so(make):
    dataset = open_dataset(make(TWO_CLASSES), conditional=False)
    assert dataset.num_classes == 0
    assert dataset.labels().tolist() == [0, 0, 0]
    assert any("ignored" in note for note in dataset.describe()["notes"])


@pytest.mark.parametrize(
    "extra", [{"loose.png": encoded(grey(1))}, {"cat2/deeper/c.png": encoded(grey(1))}], ids=["top", "deep"]
)
def test_mixed_depths_give_no_labels_but_a_note(make, extra):
    dataset = open_dataset(make(TWO_CLASSES | extra))
    assert len(dataset) == 4
    assert dataset.num_classes == 0
    assert any("no labels" in note for note in dataset.describe()["notes"])


def test_junk_is_ignored_and_broken_files_are_named(make):
    junk = {
        "__MACOSX/cat2/._a.png": b"x",
        "cat2/._a.png": b"x",
        ".DS_Store": b"x",
        "Thumbs.db": b"x",
        ".hidden/a.png": b"x",
    }
    broken = {
        "cat2/zero.png": b"",
        "cat2/bogus.jpg": b"not an image at all",
        "cat2/cut.png": encoded(Image.effect_noise((64, 64), 90))[:900],
    }
    dataset = open_dataset(make(TWO_CLASSES | junk | broken))
    assert len(dataset) == 3
    assert sorted(line.split(":")[0] for line in dataset.skipped) == sorted(broken)
    assert dataset.describe()["skipped"]["count"] == 3
    assert not dataset.describe()["notes"]


def test_other_files_are_counted_in_a_note(make):
    dataset = open_dataset(make(TWO_CLASSES | {"readme.txt": b"hello"}))
    assert dataset.describe()["notes"] == ["1 files that are not images were left out"]


@pytest.mark.parametrize("files", [{}, {"a.txt": b"x"}, {"a.png": b"", "b.png": b"junk"}], ids=["empty", "text", "bad"])
def test_nothing_readable_is_an_error(make, files, tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match="no readable image"):
        open_dataset(make(files))


def test_fingerprint_follows_the_content(make):
    before = open_dataset(make(TWO_CLASSES))
    again = open_dataset(make(TWO_CLASSES))
    after = open_dataset(make(TWO_CLASSES | {"cat2/c.png": encoded(grey(9))}))
    assert before.fingerprint == again.fingerprint != after.fingerprint


@pytest.mark.parametrize("memory_limit", [2**30, 0], ids=["memory", "streamed"])
@pytest.mark.parametrize("side", [8, 200], ids=["small", "large"])
def test_fingerprint_follows_pictures_rewritten_at_the_same_size(make, kind, side, memory_limit):
    if memory_limit == 0 and kind in ("set.tar.gz", "set.tar.xz"):
        return  # refused
    first, second = ({f"{i}.bmp": encoded(grey(10 * v + i, (side, side)), "BMP") for i in range(4)} for v in (1, 2))
    assert [len(data) for data in first.values()] == [len(data) for data in second.values()]
    prints = [open_dataset(make(files), memory_limit=memory_limit).fingerprint for files in (first, second, first)]
    assert prints[0] == prints[2] != prints[1]
    assert not same_data(prints[0], prints[1])
    assert same_data(prints[1].split(":")[-1], prints[0])  # a run of an earlier version knows names and sizes only


MODES = {
    "1": (Image.new("1", (8, 8), 1), "PNG", 1, [255]),
    "L": (grey(40), "PNG", 1, [40]),
    "LA": (Image.new("LA", (8, 8), (40, 90)), "PNG", 2, [40, 90]),
    "RGB": (Image.new("RGB", (8, 8), (10, 20, 30)), "PNG", 3, [10, 20, 30]),
    "RGBA": (Image.new("RGBA", (8, 8), (10, 20, 30, 40)), "PNG", 4, [10, 20, 30, 40]),
    "CMYK": (Image.new("CMYK", (8, 8), (0, 0, 0, 255)), "TIFF", 3, [0, 0, 0]),
    "I;16": (Image.fromarray(np.full((8, 8), 40 * 257, np.uint16)), "PNG", 1, [40]),
    "webp": (Image.new("RGB", (8, 8), (10, 20, 30)), "WEBP", 3, [10, 20, 30]),
    "bmp": (Image.new("RGB", (8, 8), (10, 20, 30)), "BMP", 3, [10, 20, 30]),
}


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_keeps_its_values(tmp_path, mode):
    image, format, channels, expected = MODES[mode]
    options = {"lossless": True} if format == "WEBP" else {}
    path = write(tmp_path, {f"a.{format.lower()}": encoded(image, format, **options)})
    dataset = open_dataset(path)
    assert dataset.sample_shape == (channels, 8, 8)
    pixels = (first(dataset) * 127.5 + 127.5).round().int()
    assert pixels[:, 3, 5].tolist() == expected


def palette(transparent):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 200, 100, 50])
    return encoded(image, "GIF", **({"transparency": 1} if transparent else {}))


@pytest.mark.parametrize(("transparent", "expected"), [(False, [200, 100, 50]), (True, [200, 100, 50, 0])])
def test_palettes_become_colour_with_alpha_if_transparent(tmp_path, transparent, expected):
    dataset = open_dataset(write(tmp_path, {"a.gif": palette(transparent)}))
    assert (first(dataset) * 127.5 + 127.5).round()[:, 0, 0].tolist() == expected


CHANNELS = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4}


@pytest.mark.parametrize("pair", list(itertools.combinations(CHANNELS, 2)), ids="+".join)
def test_a_mixed_set_takes_the_smallest_channels_that_hold_all(tmp_path, pair):
    path = write(tmp_path, {f"{mode}.png": encoded(Image.new(mode, (8, 8), 7)) for mode in pair})
    dataset = open_dataset(path)
    expected = {("LA", "RGB"): 4}.get(pair, max(CHANNELS[mode] for mode in pair))
    assert dataset.sample_shape[0] == expected
    assert dataset.describe()["modes"] == dict.fromkeys(pair, 1)


def test_grey_widened_to_colour_with_alpha_is_opaque(tmp_path):
    path = write(tmp_path, {"a.png": encoded(grey(40)), "b.png": encoded(Image.new("RGBA", (8, 8)))})
    assert (first(open_dataset(path)) * 127.5 + 127.5).round()[:, 0, 0].tolist() == [40, 40, 40, 255]


@pytest.mark.parametrize("memory_limit", [2**30, 0], ids=["memory", "streamed"])
@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path, format, orientation, memory_limit):
    image = Image.new("L", (16, 8), 0)
    image.paste(255, (0, 0, 8, 4))  # the stored upper left is white
    exif = Image.Exif()
    exif[0x0112] = orientation
    dataset = open_dataset(
        write(tmp_path, {f"a.{format.lower()}": encoded(image, format, exif=exif)}), memory_limit=memory_limit
    )
    assert dataset.sample_shape[1:] == ((8, 16) if orientation < 5 else (16, 8))
    sample = first(dataset)[0]
    white = {1: (0, 0), 2: (0, 1), 3: (1, 1), 4: (1, 0), 5: (0, 0), 6: (0, 1), 7: (1, 1), 8: (1, 0)}[orientation]
    half = [side // 2 for side in sample.shape]
    quarters = sample.reshape(2, half[0], 2, half[1]).mean(dim=(1, 3))
    assert [int(place) for place in (quarters > 0).nonzero()[0]] == list(white)
    assert int((quarters > 0).sum()) == 1


def test_sizes_that_differ_need_a_resolution(tmp_path):
    files = {"a.png": encoded(grey(1)), "b.png": encoded(grey(1)), "c.png": encoded(grey(1, (16, 12)))}
    path = write(tmp_path, files)
    with pytest.raises(DataError, match=r"8x8: 2, 16x12: 1.*--resolution 64"):
        open_dataset(path)
    dataset = open_dataset(path, resolution=4)
    assert dataset.sample_shape == (1, 4, 4)
    assert "4x4" in dataset.describe()["resized"]


def test_resolution_crops_the_centre(tmp_path):
    image = Image.new("L", (30, 10), 0)
    image.paste(255, (10, 0, 20, 10))
    assert torch.all(first(open_dataset(write(tmp_path, {"a.png": encoded(image)}), resolution=5)) == 1)


def test_resizing_is_antialiased(tmp_path):
    stripes = np.zeros((64, 64), np.uint8)
    stripes[:, ::2] = 255
    sample = first(open_dataset(write(tmp_path, {"a.png": encoded(Image.fromarray(stripes))}), resolution=8))
    assert sample.abs().max() < 0.1


def test_streaming_gives_the_same_samples(make, kind):
    files = {f"c{i % 2}/{i}.png": encoded(Image.effect_noise((8, 8), 90)) for i in range(40)}
    path = make(files)
    held = open_dataset(path)
    if kind in ("set.tar.gz", "set.tar.xz"):
        with pytest.raises(DataError, match="compressed"):
            open_dataset(path, memory_limit=100)
        return
    streamed = open_dataset(path, memory_limit=100)
    assert held.describe()["storage"] != streamed.describe()["storage"] == "streamed"
    assert held.fingerprint == streamed.fingerprint
    indices = torch.tensor([39, 0, 7, 7, -1])
    for ours, theirs in zip(held.batch(indices), streamed.batch(indices), strict=True):
        assert torch.equal(ours, theirs)


def test_a_file_that_turns_bad_is_replaced_and_recorded_once(tmp_path):
    path = write(tmp_path, {f"{i}.png": encoded(grey(i)) for i in range(4)})
    dataset = open_dataset(path, memory_limit=0)
    (tmp_path / "1.png").write_bytes(b"gone bad")
    (tmp_path / "2.png").write_bytes(encoded(grey(2, (9, 9))))
    samples, _ = dataset.batch(torch.tensor([1, 1, 2, 1]))
    assert (samples * 127.5 + 127.5).round().unique().tolist() == [3]
    assert sorted(line[:6] for line in dataset.skipped) == ["1.png:", "2.png:"]
    (tmp_path / "0.png").unlink()
    (tmp_path / "3.png").unlink()
    with pytest.raises(DataError, match="can be read any more"):
        dataset.batch(torch.tensor([0]))


def test_an_index_beyond_the_set_is_refused(tmp_path):
    dataset = open_dataset(write(tmp_path, {"a.png": encoded(grey(1))}), memory_limit=0)
    with pytest.raises(IndexError):
        dataset.batch(torch.tensor([1]))


def test_decompression_bombs_are_skipped(tmp_path, monkeypatch, recwarn):
    path = write(tmp_path, {"a.png": encoded(grey(1)), "bomb.png": encoded(grey(1, (40, 40)))})
    for limit in (1500, 700):  # Pillow itself warns above its limit and refuses above twice that
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        dataset = open_dataset(path)
        assert len(dataset) == 1
        assert dataset.skipped[0].startswith("bomb.png: ")
    assert not recwarn.list


def test_link_loops_end_and_dead_links_are_named(tmp_path):
    write(tmp_path, TWO_CLASSES)
    (tmp_path / "cat2" / "up").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    (tmp_path / "cat2" / "dead.png").symlink_to(tmp_path / "nowhere.png")
    dataset = open_dataset(str(tmp_path))
    assert len(dataset) == 3
    assert dataset.class_names == ["cat2", "cat10"]
    assert dataset.skipped[0].startswith("cat2/dead.png")


def test_linked_class_folders_are_followed(tmp_path):
    write(tmp_path / "elsewhere", TWO_CLASSES)
    (tmp_path / "set").mkdir()
    for name in ("cat2", "cat10"):
        (tmp_path / "set" / name).symlink_to(tmp_path / "elsewhere" / name, target_is_directory=True)
    assert open_dataset(str(tmp_path / "set")).num_classes == 2


def test_zip_members_that_point_outside_are_only_read(tmp_path):
    (tmp_path / "deep").mkdir()
    path = pack(tmp_path / "deep" / "set.zip", {"../../evil.png": encoded(grey(3)), "/abs.png": encoded(grey(4))})
    assert len(open_dataset(path)) == 2
    assert sorted(os.listdir(tmp_path)) == ["deep"]


def test_file_names_that_are_not_utf8_stay_printable(tmp_path):
    with open(os.fsencode(tmp_path) + b"/\xff\xfe\n.png", "wb") as handle:
        handle.write(b"broken")
    with pytest.raises(DataError) as caught:
        open_dataset(str(tmp_path))
    assert "\n" not in str(caught.value)
    str(caught.value).encode()


FILES = {"a.png": encoded(grey(0)), "sub/b.png": encoded(grey(9)), "sub/c.png": encoded(grey(3))}


class TestLabelsFile:
    def open(self, tmp_path, text, files=FILES):
        (tmp_path / "labels.csv").write_text(text)
        return open_dataset(write(tmp_path / "set", files), labels=str(tmp_path / "labels.csv"))

    @pytest.mark.parametrize(
        "text",
        [
            "a.png,dog\nsub/b.png,cat\nsub/c.png,dog\n",
            "file,label\nsub/c.png,dog\na.png,dog\nb.png,cat\n",
            "label,filename\ncat,b.png\ndog,./a.png\ndog,sub\\c.png\n",
            "\ufeffpicture,what\r\na.png, dog\r\n\r\nb.png,cat\r\nc.png,dog,extra\r\n",
        ],
        ids=["plain", "header", "swapped", "bom"],
    )
    def test_rows_match_by_path_or_name(self, tmp_path, text):
        dataset = self.open(tmp_path, text)
        assert dataset.class_names == ["cat", "dog"]
        assert by_value(dataset) == {0: 1, 9: 0, 3: 1}

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("a.png,x\nb.png,y\n", r"1 images have no row.*sub/c\.png"),
            ("a.png,x\nb.png,y\nc.png,z\nd.png,z\n", r"1 rows name no image.*d\.png"),
            ("a.png,x\na.png,y\nb.png,y\nc.png,z\n", "two labels"),
            ("a.png\nb.png\n", "has no label"),
            ("a.png,\n", "has no label"),
            ("", "is empty"),
            ("file,label\n", "3 images have no row"),
        ],
    )
    def test_mismatches_are_named(self, tmp_path, text, message):
        with pytest.raises(DataError, match=message):
            self.open(tmp_path, text)

    def test_a_name_that_fits_two_files_is_refused(self, tmp_path):
        with pytest.raises(DataError, match="may mean"):
            self.open(tmp_path, "a.png,1\n", {"x/a.png": FILES["a.png"], "y/a.png": FILES["a.png"]})

    def test_rows_of_broken_images_are_no_mismatch(self, tmp_path):
        dataset = self.open(tmp_path, "a.png,1\nb.png,2\nc.png,3\n", FILES | {"a.png": b"broken"})
        assert dataset.class_names == ["2", "3"]

    def test_a_missing_labels_file_is_an_error(self, tmp_path):
        with pytest.raises(DataError, match="labels file"):
            open_dataset(write(tmp_path, FILES), labels=str(tmp_path / "none.csv"))

    @settings(max_examples=60, deadline=None)
    @given(data=st.one_of(st.binary(max_size=80), st.text(alphabet='a.png,\n"\x00é', max_size=40).map(str.encode)))
    def test_any_bytes_as_csv_give_a_data_error_or_labels(self, tmp_path_factory, data):
        folder = tmp_path_factory.mktemp("csv")
        (folder / "labels.csv").write_bytes(data)
        path = write(folder / "set", {"a.png": FILES["a.png"]})
        try:
            dataset = open_dataset(path, labels=str(folder / "labels.csv"))
        except DataError:
            return
        assert dataset.num_classes == 1


def damaged(whole):
    """Bytes made from `whole` by cutting it off and overwriting a few places."""

    def damage(cut, changes):
        data = bytearray(whole[: len(whole) - cut])
        for place, value in changes:
            if data:
                data[place % len(data)] = value
        return bytes(data)

    changes = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=8)
    return st.builds(damage, st.sampled_from([0, 0, 1, 20, 100]), changes)


EXIF = Image.Exif()
EXIF[0x0112] = 6
EXIF[0x010E] = "text"
WHOLE = [
    (extension, encoded(Image.effect_noise((12, 12), 80).convert(mode), format, **options))
    for extension, format, mode, options in [
        ("png", "PNG", "P", {"exif": EXIF}),
        ("png", "PNG", "RGBA", {}),
        ("jpg", "JPEG", "RGB", {"exif": EXIF}),
        ("gif", "GIF", "P", {"transparency": 3}),
        ("bmp", "BMP", "RGB", {}),
        ("webp", "WEBP", "RGB", {}),
        ("tif", "TIFF", "RGB", {"compression": "tiff_lzw"}),
        ("tif", "TIFF", "CMYK", {"exif": EXIF}),
    ]
]


@settings(max_examples=250, deadline=None)
@given(
    file=st.one_of(
        st.tuples(st.just("png"), st.binary(max_size=200)),
        *[st.tuples(st.just(extension), damaged(whole)) for extension, whole in WHOLE],
    ),
    memory_limit=st.sampled_from([0, 2**30]),
)
def test_any_bytes_as_an_image_are_read_or_skipped(tmp_path_factory, file, memory_limit):
    extension, data = file
    path = write(tmp_path_factory.mktemp("fuzz"), {"good.png": encoded(grey(1)), f"odd.{extension}": data})
    dataset = open_dataset(path, resolution=8, memory_limit=memory_limit)
    samples, _ = dataset.batch(torch.arange(len(dataset)))
    assert samples.abs().max() <= 1
    assert len(dataset) == 2 or len(dataset.skipped) == 1


def archive_bytes(tmp_path_factory, name):
    with open(pack(tmp_path_factory.mktemp("whole") / name, TWO_CLASSES), "rb") as handle:
        return handle.read()


def test_a_zip_member_that_has_lost_its_name_is_left_out(tmp_path):
    path = tmp_path / "set.zip"
    pack(path, TWO_CLASSES)
    content = path.read_bytes()
    at = content.rindex(b"cat2/a.png")  # in the directory at the end; a name ends at its first zero
    path.write_bytes(content[:at] + b"\0" + content[at + 1 :])
    assert len(open_dataset(str(path), resolution=8)) == 2


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz", "set.tar.xz"])
@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_any_bytes_as_an_archive_give_a_data_error_or_images(tmp_path_factory, name, data):
    content = data.draw(st.one_of(st.binary(max_size=300), damaged(archive_bytes(tmp_path_factory, name))))
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(content)
    try:
        dataset = open_dataset(str(path), resolution=8)
    except DataError:
        return
    samples, _ = dataset.batch(torch.arange(len(dataset)))
    assert samples.abs().max() <= 1
