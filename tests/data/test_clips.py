import io
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sparring.data import DataError
from sparring.data.clips import is_clips, open_clips
from sparring.modalities.registry import open_dataset

REAL = Path(__file__).parents[3] / "shared" / "data" / "video" / "fluent_anim_64_strips.tar"


def moving(count, size=(32, 32), mode="RGB", start=0):
    """Frames whose grey value is 10 times their number."""
    frames = []
    for number in range(start, start + count):
        grey = 10 * number % 256
        frames.append(Image.new(mode, size, grey if mode == "L" else (grey,) * 3 + (255,) * (mode == "RGBA")))
    return frames


def video(frames, format="mp4", codec="libx264", pix_fmt="yuv420p", group=4):
    av = pytest.importorskip("av")
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=format) as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height = frames[0].size
        stream.pix_fmt = pix_fmt
        stream.gop_size = group
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return buffer.getvalue()


def animation(frames, format, **options):
    buffer = io.BytesIO()
    frames[0].save(buffer, format, save_all=True, append_images=frames[1:], duration=40, **options)
    return buffer.getvalue()


def png(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def strip(frames):
    side = frames[0].height
    whole = Image.new(frames[0].mode, (side * len(frames), side))
    for number, frame in enumerate(frames):
        whole.paste(frame, (side * number, 0))
    return png(whole)


def write(folder, files):
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    folder.mkdir(exist_ok=True)
    return str(folder)


def numbers(dataset):
    """The numbers of the frames of every clip, from their grey values."""
    samples, _ = dataset.batch(torch.arange(len(dataset)))
    grey = (samples[:, 0].mean(dim=(2, 3)) * 127.5 + 127.5) / 10
    assert (grey - grey.round()).abs().max() < 0.3
    return grey.round().int().tolist()


GIF = animation(moving(8), "GIF")
VIDEOS = {
    "mp4": {},
    "mov": {},
    "mkv": {"format": "matroska"},
    "webm": {"codec": "libvpx-vp9"},
    "avi": {"codec": "mpeg4"},
}


@pytest.fixture(scope="module")
def mp4():
    return video(moving(20))


@pytest.mark.parametrize("memory_limit", [2**30, 0], ids=["memory", "streamed"])
@pytest.mark.parametrize("ending", VIDEOS)
def test_videos_are_read_frame_by_frame(tmp_path, ending, memory_limit):
    data = video(moving(20), **{"format": ending} | VIDEOS[ending])
    path = write(tmp_path / "set", {f"a.{ending}": data})
    dataset = open_clips(path, frames=4, frame_step=2, memory_limit=memory_limit)
    assert dataset.sample_shape == (3, 4, 32, 32)
    assert dataset.storage == ("in memory" if memory_limit else "streamed")
    assert numbers(dataset) == [[0, 2, 4, 6], [13, 15, 17, 19]]


def test_h264_in_avi_with_frames_out_of_order_is_read_in_order(tmp_path):
    path = write(tmp_path / "set", {"a.avi": video(moving(20), "avi", group=20)})
    assert numbers(open_clips(path, frames=20, memory_limit=0)) == [list(range(20))]


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.gif", animation(moving(8), "GIF")),
        ("a.webp", animation(moving(8), "WEBP", lossless=True)),
        ("a.png", strip(moving(8))),
    ],
)
@pytest.mark.parametrize("memory_limit", [2**30, 0], ids=["memory", "streamed"])
def test_pictures_of_many_frames_are_read(tmp_path, name, data, memory_limit):
    path = write(tmp_path / "set", {name: data})
    dataset = open_clips(path, frames=4, memory_limit=memory_limit)
    assert numbers(dataset) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert numbers(open_clips(str(tmp_path / "set" / name), frames=8)) == [list(range(8))]
    kind = "strip" if name.endswith("png") else "video"
    assert dataset.notes[0] == f"1 {kind} of 8 frames gives 2 clips of 4 frames, 1 apart"
    assert open_clips(path, frames=8, memory_limit=memory_limit).notes[0].endswith("gives 1 clip of 8 frames, 1 apart")


def test_a_video_gives_as_many_clips_as_lie_side_by_side_in_it(tmp_path):
    path = write(tmp_path / "set", {"a.gif": GIF})
    assert numbers(open_clips(path, frames=3)) == [[0, 1, 2], [5, 6, 7]]
    assert numbers(open_clips(path, frames=3, frame_step=3)) == [[0, 3, 6]]
    assert numbers(open_clips(path, frames=8)) == [list(range(8))]
    assert numbers(open_clips(path, frames=1)) == [[number] for number in range(8)]


def test_numbered_pictures_of_a_folder_are_one_clip_in_natural_order(tmp_path):
    files = {
        f"clips/b{clip}/f{n}.png": png(f) for clip in range(2) for n, f in enumerate(moving(12, (24, 16), start=clip))
    }
    path = write(tmp_path / "set", files | {"clips/b0/cover.png": png(moving(1)[0]), "readme.txt": b"x"})
    for memory_limit in (2**30, 0):
        dataset = open_clips(path, frames=12, memory_limit=memory_limit)
        assert dataset.sample_shape == (3, 12, 16, 24)
        assert numbers(dataset) == [list(range(12)), list(range(1, 13))]
    assert dataset.num_classes == 0
    assert "2 folders of pictures of 12 frames give 2 clips" in dataset.notes[0]
    assert "2 files that do not belong to a video" in dataset.notes[-1]
    flat = write(tmp_path / "flat", {f"{n}.png": png(f) for n, f in enumerate(moving(12))})
    assert numbers(open_clips(flat, frames=12)) == [list(range(12))]


def test_classes_come_from_folders(tmp_path, mp4):
    path = write(tmp_path / "set", {"walk10/a.mp4": mp4, "walk2/a.gif": GIF, "walk2/b.gif": GIF})
    dataset = open_clips(path, frames=8)
    assert dataset.class_names == ["walk2", "walk10"]
    assert dataset.labels().tolist() == [0, 0, 1, 1]
    assert dataset.describe()["classes"] == {"walk2": 2, "walk10": 2}
    plain = open_clips(path, frames=8, conditional=False)
    assert plain.num_classes == 0
    assert any("ignored" in note for note in plain.notes)
    mixed = open_clips(write(tmp_path / "set", {"loose.gif": GIF}), frames=8)
    assert any("no labels: some videos" in note for note in mixed.notes)


def test_folders_of_frames_have_the_class_of_the_folder_above(tmp_path):
    files = {f"{kind}/{clip}/{n}.png": png(f) for kind in "xy" for clip in "12" for n, f in enumerate(moving(3))}
    dataset = open_clips(write(tmp_path / "set", files), frames=3)
    assert dataset.class_names == ["x", "y"]
    assert dataset.labels().tolist() == [0, 0, 1, 1]


def test_a_labels_file_names_videos(tmp_path):
    path = write(tmp_path / "set", {"a.gif": GIF, "sub/b.gif": GIF})
    (tmp_path / "labels.csv").write_text("file,label\na.gif,dog\nb.gif,cat\n")
    dataset = open_clips(path, frames=4, labels=str(tmp_path / "labels.csv"))
    assert dataset.class_names == ["cat", "dog"]
    assert dataset.labels().tolist() == [1, 1, 0, 0]
    (tmp_path / "labels.csv").write_text("file,label\na.gif,dog\n")
    with pytest.raises(DataError, match=r"no row.*sub/b\.gif"):
        open_clips(path, frames=4, labels=str(tmp_path / "labels.csv"))


def grey_dot(mode, transparent=False):
    frames = []
    for number in range(4):
        frame = Image.new(mode, (16, 16), (0, 0, 0, 0 if transparent else 255)[: len(mode)] if mode != "L" else 0)
        frame.paste(200 if mode == "L" else (200, 30, 20, 255)[: len(mode)], (number, 2, number + 6, 8))
        frames.append(frame)
    return frames


@pytest.mark.parametrize(
    ("frames", "channels"),
    [(grey_dot("L"), 1), (grey_dot("RGB"), 3), (grey_dot("RGBA"), 3), (grey_dot("RGBA", True), 4)],
    ids=["grey", "colour", "opaque", "transparent"],
)
@pytest.mark.parametrize("format", ["GIF", "WEBP", "strip"])
def test_channels_are_those_that_are_needed(tmp_path, frames, channels, format):
    data = (
        strip(frames)
        if format == "strip"
        else animation(frames, format, **{"lossless": True} if format == "WEBP" else {})
    )
    name = {"GIF": "a.gif", "WEBP": "a.webp", "strip": "a.png"}[format]
    dataset = open_clips(write(tmp_path / "set", {name: data}), frames=4)
    if format == "strip" and frames[0].mode == "RGBA":
        channels = 4  # a still's mode is taken at its word
    assert dataset.sample_shape == (channels, 4, 16, 16)
    pixel = (dataset.batch(torch.tensor([0]))[0][0, :, 1, 4, 4] * 127.5 + 127.5).round().int().tolist()
    assert pixel == ([200] if frames[0].mode == "L" else [200, 30, 20, 255][:channels])


def test_a_grey_video_has_one_channel_and_colour_widens_the_others(tmp_path):
    grey = video(moving(6, mode="L"), "matroska", "ffv1", "gray")
    path = write(tmp_path / "set", {"a.mkv": grey})
    dataset = open_clips(path, frames=6)
    assert dataset.sample_shape == (1, 6, 32, 32)
    assert numbers(dataset) == [list(range(6))]
    dataset = open_clips(
        write(tmp_path / "set", {"b.png": b"x", "c.gif": animation(grey_dot("RGB"), "GIF")}), frames=4, resolution=16
    )
    assert dataset.sample_shape == (3, 4, 16, 16)
    assert dataset.describe()["modes"] == {"L": 1, "RGB": 1}


def test_a_video_marked_as_turned_is_turned_upright(tmp_path):
    frame = Image.new("L", (32, 16), 0)
    frame.paste(255, (0, 0, 8, 16))  # white at the left
    data = video([frame] * 4)
    one = 1 << 16
    plain = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, one, 0, -one, 0, 0, one * 16, 0, 1 << 30)  # clockwise, as telephones write it
    place = data.index(plain, data.index(b"tkhd"))
    path = write(tmp_path / "set", {"a.mp4": data[:place] + turned + data[place + len(plain) :]})
    dataset = open_clips(path, frames=4)
    assert dataset.sample_shape == (3, 4, 32, 16)
    rows = dataset.batch(torch.tensor([0]))[0][0, 0, 0].mean(dim=1)
    assert rows[:7].min() > 0.8
    assert rows[9:].max() < -0.8


@pytest.mark.parametrize("name", ["set.zip", "set.tar", "set.tar.gz"])
def test_archives_are_read_like_folders(tmp_path, mp4, name):
    files = {"a/1.mp4": mp4, "b/2.gif": GIF, "b/note.txt": b"x"}
    path = tmp_path / name
    if name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as archive:
            for member, data in files.items():
                archive.writestr(member, data)
    else:
        with tarfile.open(path, "w:gz" if name.endswith("gz") else "w") as archive:
            for member, data in files.items():
                info = tarfile.TarInfo(member)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    assert is_clips(str(path), None)
    dataset = open_clips(str(path), frames=8)
    folder = open_clips(write(tmp_path / "folder", files), frames=8)
    assert dataset.class_names == ["a", "b"]
    assert torch.equal(dataset.batch(torch.arange(3))[0], folder.batch(torch.arange(3))[0])
    if name.endswith("gz"):
        with pytest.raises(DataError, match="unpack it"):
            open_clips(str(path), frames=8, memory_limit=100)
    else:
        streamed = open_clips(str(path), frames=8, memory_limit=100)
        assert torch.equal(dataset.batch(torch.arange(3))[0], streamed.batch(torch.arange(3))[0])


def test_streaming_gives_the_same_samples(tmp_path):
    noise = [Image.effect_noise((48, 32), 90).convert("RGB") for _ in range(40)]
    path = write(
        tmp_path / "set",
        {"x/a.mp4": video(noise, group=12), "y/b.gif": GIF, "y/c.webm": video(noise, "webm", "libvpx-vp9", group=12)},
    )
    held = open_clips(path, frames=3, frame_step=2, resolution=16)
    streamed = open_clips(path, frames=3, frame_step=2, resolution=16, memory_limit=100)
    assert held.storage != streamed.storage == "streamed"
    assert held.fingerprint == streamed.fingerprint
    assert "16x16" in held.resized
    indices = torch.tensor([16, 0, 7, 7, -1, 9, 8])
    for ours, theirs in zip(held.batch(indices), streamed.batch(indices), strict=True):
        assert torch.equal(ours, theirs)
    with pytest.raises(IndexError):
        streamed.batch(torch.tensor([len(held)]))


def test_resolution_crops_the_centre(tmp_path):
    frame = Image.new("RGB", (48, 16), 0)
    frame.paste((255, 255, 255), (16, 0, 32, 16))
    dataset = open_clips(write(tmp_path / "set", {"a.mp4": video([frame] * 4)}), frames=4, resolution=8)
    assert dataset.sample_shape == (3, 4, 8, 8)
    assert dataset.batch(torch.tensor([0]))[0][..., 2:6].min() > 0.9


def test_bad_videos_among_good_ones_are_named_and_left_out(tmp_path, mp4):
    bad = {
        "text.mp4": b"this is no video",
        "list.mp4": b"#EXTM3U\n#EXTINF:1,\na.gif\n#EXT-X-ENDLIST\n",
        "cut.mp4": mp4[: len(mp4) // 2],
        "empty.webm": b"",
        "empty.mp4": b"",
        "cut.gif": GIF[:20],
        "short.gif": animation(moving(2), "GIF"),
    }
    path = write(tmp_path / "set", {"a.gif": GIF, "b.mp4": mp4} | bad)
    for memory_limit in (2**30, 0):
        dataset = open_clips(path, frames=8, memory_limit=memory_limit)
        assert len(dataset) == 3
        assert sorted(line.split(":")[0] for line in dataset.skipped) == sorted(bad)
        assert "short.gif: 2 frames, a clip spans 8" in dataset.skipped
        assert not any("Errno" in line for line in dataset.skipped)
        assert "empty.webm: the file is empty" in dataset.skipped
        assert "empty.mp4: the file is empty" in dataset.skipped


def test_a_video_broken_in_its_middle_is_left_out_with_all_its_clips(tmp_path):
    noise = [Image.effect_noise((32, 32), 90).convert("RGB") for _ in range(24)]
    broken = bytearray(strip(noise))
    broken[len(broken) // 2] ^= 255
    path = write(
        tmp_path / "set", {"a/1.png": strip(moving(24)), "b/2.png": bytes(broken), "c/3.png": strip(moving(24))}
    )
    held = open_clips(path, frames=8)
    assert held.class_names == ["a", "c"]
    assert len(held) == 6
    assert held.skipped[0].startswith("b/2.png: ")
    streamed = open_clips(path, frames=8, memory_limit=0)
    samples, classes = streamed.batch(torch.tensor([3, 4]))
    assert classes.tolist() == [2, 2]
    assert torch.equal(samples[0], held.batch(torch.tensor([3]))[0][0])
    assert streamed.skipped


def test_a_video_that_vanishes_while_streaming_is_replaced(tmp_path):
    path = write(tmp_path / "set", {"a.gif": GIF, "b.gif": animation(moving(8, start=3), "GIF")})
    dataset = open_clips(path, frames=8, memory_limit=0)
    (tmp_path / "set" / "a.gif").unlink()
    assert numbers(dataset) == [list(range(3, 11))] * 2
    assert len(dataset.skipped) == 1
    (tmp_path / "set" / "b.gif").write_bytes(b"gone bad")
    with pytest.raises(DataError, match="can be read any more"):
        dataset.batch(torch.tensor([1]))


def test_sizes_that_differ_need_a_resolution(tmp_path):
    path = write(tmp_path / "set", {"a.gif": GIF, "b.gif": animation(moving(8, (48, 32)), "GIF")})
    with pytest.raises(DataError, match=r"2 sizes \(.*48x32: 1.*--resolution 64"):
        open_clips(path, frames=8)
    assert open_clips(path, frames=8, resolution=16).sample_shape == (1, 8, 16, 16)


def test_a_folder_of_frames_of_two_sizes_is_left_out(tmp_path):
    files = {f"a/{n}.png": png(f) for n, f in enumerate(moving(4))} | {"a/4.png": png(moving(1, (16, 16))[0])}
    files |= {f"b/{n}.png": png(f) for n, f in enumerate(moving(4))} | {"c/1.png": b"junk", "c/2.png": b"junk"}
    dataset = open_clips(write(tmp_path / "set", files), frames=4)
    assert len(dataset) == 1
    assert dataset.skipped == ["a: its frames have 2 sizes (32x32, 16x16)", "c: 1.png: not a readable image"]


@pytest.mark.parametrize(
    ("files", "settings", "message"),
    [
        ({}, {}, "no readable video.*holds no videos"),
        ({"a.txt": b"x"}, {}, "no readable video"),
        ({"a.mp4": b"this is no video"}, {}, r"1 broken, first a\.mp4: Invalid data"),
        ({"a.gif": GIF}, {"frames": 9}, "spans 9, the longest video has 8; lower --data.frames"),
        ({"a.gif": GIF}, {"frames": 5, "frame_step": 2}, "spans 9.*--data.frame_step"),
        ({"a.gif": GIF}, {"frames": 0}, "--data.frames to 1 or more"),
        ({"a.gif": GIF}, {"frame_step": 0}, "--data.frame_step to 1 or more"),
        ({"photo.png": png(moving(1)[0])}, {}, "no numbered pictures"),
        ({"1.png": png(moving(1)[0])}, {}, "the longest video has 1"),
    ],
)
def test_what_cannot_be_used_says_why(tmp_path, files, settings, message):
    if "a.mp4" in files:
        pytest.importorskip("av")
    with pytest.raises(DataError, match=message) as caught:
        open_clips(write(tmp_path / "set", files), **settings)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("files", [{}, {"a.txt.zip": b"x"}])
def test_a_folder_of_nothing_says_so_where_frames_are_asked_for(tmp_path, files):
    with pytest.raises(DataError, match=r"no readable video in .*it holds no videos and no numbered pictures"):
        open_dataset(write(tmp_path / "set", files), frames=4)


CLIPS = np.random.default_rng(0).integers(0, 256, (3, 1, 8, 6, 6), dtype=np.uint8)
COLOURED = CLIPS.repeat(3, 1) // np.arange(1, 4, dtype=np.uint8)[:, None, None, None]


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (CLIPS, CLIPS),
        (CLIPS.astype(np.float32) / 127.5 - 1, CLIPS),
        (COLOURED, COLOURED),
        (np.moveaxis(COLOURED, 1, -1), COLOURED),
    ],
    ids=["bytes", "floats", "NCTHW", "NTHWC"],
)
@pytest.mark.parametrize("name", ["a.npz", "a.npy"])
def test_arrays_of_five_axes_are_clips(tmp_path, stored, expected, name):
    path = tmp_path / name
    if name.endswith("npz"):
        np.savez(path, samples=stored, labels=np.array([2, 0, 2]))
    else:
        np.save(path, stored)
    dataset = open_dataset(str(path), frames=8)
    assert dataset.sample_shape == expected.shape[1:]
    samples, classes = dataset.batch(torch.arange(3))
    assert np.array_equal((samples * 127.5 + 127.5).round().numpy(), expected)
    assert classes.tolist() == ([1, 0, 1] if name.endswith("npz") else [0, 0, 0])
    assert dataset.notes == ["3 videos of 8 frames give 3 clips of 8 frames, 1 apart"]


def test_clips_are_cut_out_of_the_videos_of_an_array_as_of_others(tmp_path):
    path = tmp_path / "videos.npz"
    videos = np.stack([np.stack([np.asarray(frame) for frame in moving(8, start=start)]) for start in (0, 9)])
    np.savez(path, videos=videos, labels=np.array(["x", "y"]))
    dataset = open_dataset(str(path), frames=3)
    assert numbers(dataset) == [[0, 1, 2], [5, 6, 7], [9, 10, 11], [14, 15, 16]]
    assert dataset.labels().tolist() == [0, 0, 1, 1]
    assert numbers(open_dataset(str(path), frames=3, frame_step=3)) == [[0, 3, 6], [9, 12, 15]]
    small = open_dataset(str(path), frames=8, resolution=8)
    assert small.sample_shape == (3, 8, 8, 8)
    assert numbers(small) == [list(range(8)), list(range(9, 17))]
    with pytest.raises(DataError, match=r"spans 16, the longest video has 8; lower --data\.frames"):
        open_dataset(str(path))
    np.savez(path, videos=videos[0])
    with pytest.raises(DataError, match=r"--data\.frames has no effect on pictures"):
        open_dataset(str(path), frames=3)


def test_a_missing_path_and_a_broken_archive_are_named(tmp_path):
    (tmp_path / "set.zip").write_bytes(b"junk")
    for path in ("none", "none.mp4", "set.zip"):
        with pytest.raises(DataError, match=path):
            open_clips(str(tmp_path / path))


def test_without_pyav_videos_say_what_to_install_and_the_rest_works(tmp_path, monkeypatch):
    path = write(tmp_path / "set", {"a.gif": GIF})
    monkeypatch.setitem(sys.modules, "av", None)
    assert len(open_clips(path, frames=8)) == 1
    write(tmp_path / "set", {"b.mp4": b"video"})
    assert is_clips(path, None)
    with pytest.raises(DataError, match=r'reading b.mp4 needs PyAV: pip install "sparring\[video\]"'):
        open_clips(path, frames=8)


def test_what_holds_clips_is_told_from_what_holds_images(tmp_path):
    still, square = animation(moving(1), "GIF"), png(moving(1)[0])
    sets = {
        "videos": ({"x/1.png": square, "x/2.MP4": b""}, True, True),
        "animations": ({"1.png": square, "2.gif": GIF}, True, True),
        "stills": ({"1.gif": still, "2.png": square}, False, True),
        "strips": ({"1.png": strip(moving(4))}, False, True),
        "empty": ({}, False, True),  # for open_clips to refuse
        "text": ({"a.txt": b"x", "b.npz": b"x"}, False, True),
        "IDX": ({"train-images-idx3-ubyte": b"x"}, False, False),
    }
    for name, (files, without, with_frames) in sets.items():
        path = write(tmp_path / name, files)
        assert is_clips(path, None) == without, name
        assert is_clips(path, 16) == with_frames, name
    assert is_clips(str(tmp_path / "videos" / "x" / "2.MP4"), None)
    assert is_clips(str(tmp_path / "animations" / "2.gif"), None)
    assert not is_clips(str(tmp_path / "animations" / "1.png"), None)
    for name in ("digits", "hf:cifar10", str(tmp_path / "none.mp4"), str(tmp_path / "text" / "b.npz")):
        assert not is_clips(name, 16)


def test_fingerprint_follows_content_and_settings(tmp_path):
    path = write(tmp_path / "set", {"a.gif": GIF})
    prints = [open_clips(path, **settings).fingerprint for settings in ({"frames": 4}, {"frames": 4}, {"frames": 3})]
    prints.append(open_clips(path, frames=4, frame_step=2).fingerprint)
    write(tmp_path / "set", {"b.gif": GIF})
    prints.append(open_clips(path, frames=4).fingerprint)
    assert prints[0] == prints[1]
    assert len(set(prints)) == 4


@pytest.mark.parametrize("memory_limit", [2**30, 0], ids=["memory", "streamed"])
def test_fingerprint_follows_frames_rewritten_at_the_same_size(tmp_path, memory_limit):
    prints = []
    for value in (1, 2, 1):
        for number in range(4):
            (tmp_path / "film").mkdir(exist_ok=True)
            Image.new("L", (8, 8), value).save(tmp_path / "film" / f"{number}.bmp")
        prints.append(open_clips(str(tmp_path), frames=2, memory_limit=memory_limit).fingerprint)
    assert prints[0] == prints[2] != prints[1]


def test_any_damage_to_a_video_is_skipped_or_read(tmp_path, mp4):
    random = np.random.default_rng(0)
    whole = {"gif": GIF, "webp": animation(moving(8), "WEBP"), "mp4": mp4, "png": strip(moving(8))}
    for number in range(40):
        ending = list(whole)[number % 4]
        data = bytearray(whole[ending])
        for place in random.integers(0, len(data), 6):
            data[place] = random.integers(256)
        good = {"good.png": whole["png"]} if ending == "png" else {"good.gif": GIF}
        path = write(
            tmp_path / str(number), good | {f"odd.{ending}": bytes(data[: len(data) - random.integers(0, 30)])}
        )
        for memory_limit in (2**30, 0):
            dataset = open_clips(path, frames=8, resolution=8, memory_limit=memory_limit)
            samples, _ = dataset.batch(torch.arange(len(dataset)))
            assert samples.shape[1:] == dataset.sample_shape
            assert samples.abs().max() <= 1


@pytest.mark.shared
@pytest.mark.skipif(not REAL.exists(), reason="the shared data are not here")
def test_real_strips_are_read():
    assert is_clips(str(REAL), 16)
    assert not is_clips(str(REAL), None)
    dataset = open_clips(str(REAL), frames=24)
    assert len(dataset) == 477
    assert dataset.sample_shape == (3, 24, 64, 64)
    assert not dataset.skipped
    streamed = open_clips(str(REAL), frames=24, memory_limit=0)
    indices = torch.tensor([0, 476, 200])
    samples = dataset.batch(indices)[0]
    assert torch.equal(samples, streamed.batch(indices)[0])
    change = samples.diff(dim=2).abs().mean()
    assert 0 < change < (samples[0] - samples[1]).abs().mean()
