"""What an input costs is bounded by what it justifies: memory, time, and files that never end."""

import io
import json
import math
import os
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from sparring.data import DataError
from sparring.data.budgets import Budget
from sparring.data.pictures import read_image
from sparring.modalities.registry import open_dataset

# Prints by how many MiB opening a data set raised the process's largest memory, and the error or the set's facts.
_MEASURE = """
import json, resource, sys, torch, numpy
from sparring.data import DataError
from sparring.modalities.registry import open_dataset
import sparring.data.images, sparring.data.clips, sparring.data.arrays, sparring.data.tables
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
before = peak()
try:
    dataset = open_dataset(sys.argv[1], **json.loads(sys.argv[2]))
    dataset.batch(torch.tensor([0]))
    said = dataset.describe()
except DataError as error:
    said = str(error)
print(json.dumps([peak() - before, said]))
"""


def opened(path, **options):
    """The growth of memory in MiB and what was said about the data, in a process of its own."""
    command = [sys.executable, "-c", _MEASURE, str(path), json.dumps(options)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=300).stdout)


def photograph(width, height, **options):
    """A JPEG as a camera makes it, with large and small structure."""
    random = np.random.default_rng(0)
    colours = Image.fromarray(random.integers(0, 256, (height // 64, width // 64, 3), np.uint8))
    pixels = np.asarray(colours.resize((width, height), Image.Resampling.BICUBIC)).astype(int)
    pixels[::3] += random.integers(-9, 10, (len(pixels[::3]), width, 3))
    buffer = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def camera(tmp_path_factory):
    folder = tmp_path_factory.mktemp("camera")
    (folder / "0.jpg").write_bytes(photograph(4032, 3072))
    for index in range(1, 24):
        os.link(folder / "0.jpg", folder / f"{index}.jpg")
    return folder


def test_photographs_at_camera_size_take_little_memory(camera):
    grown, facts = opened(camera, resolution=128)
    assert facts["sample_shape"] == [3, 128, 128]
    assert facts["storage"] == "in memory"
    assert grown < 120  # one decoded in full takes 47 MiB, its copies as much each


def test_photographs_without_a_resolution_are_not_all_held(camera):
    grown, facts = opened(camera, memory_limit=2**28)
    assert facts["storage"] == "streamed"
    assert any("--resolution" in note for note in facts["notes"])
    assert grown < 600  # all pixels have 850 MiB


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_shrunk_photograph_is_close_to_the_whole_one_shrunk(options, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = photograph(1600, 1216, exif=exif, **options)
    whole = Image.open(io.BytesIO(data)).crop((192, 0, 1408, 1216))
    upright = whole.rotate(-90) if orientation == 6 else whole
    expected = np.asarray(upright.resize((64, 64), Image.Resampling.LANCZOS)).astype(float)
    picture = read_image(data, 64)
    assert picture.size == (1600, 1216)
    assert np.abs(picture.pixels - expected).mean() < 1
    assert np.abs(picture.pixels - expected).max() < 12


def test_a_photograph_near_the_resolution_is_decoded_in_full():
    data = photograph(256, 192)
    whole = Image.open(io.BytesIO(data)).crop((32, 0, 224, 192)).resize((128, 128), Image.Resampling.LANCZOS)
    assert np.array_equal(read_image(data, 128).pixels, np.asarray(whole))


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def blank_png(width, height, channels):
    """A PNG of zeros; packed a row at a time, for rows by the thousand."""
    packer = zlib.compressobj()
    rows = [packer.compress(bytes(1 + channels * width)) for _ in range(height)]
    header = struct.pack(">IIBBBBB", width, height, 8, {1: 0, 4: 6}[channels], 0, 0, 0)
    data = b"".join([*rows, packer.flush()])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def blank_gif(width, height, frames):
    frame = b"!\xf9\x04\x04\x0a\0\0\0,\0\0\0\0" + struct.pack("<HHB", width, height, 0) + b"\x02\x02\x4c\x01\0"
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0xF0, 0, 0) + bytes(3) + b"\xff" * 3 + frame * frames + b";"


def test_blank_pictures_at_the_largest_size_are_decoded_one_by_one(tmp_path):
    (tmp_path / "0.png").write_bytes(blank_png(6000, 6000, 4))
    for index in range(1, 3):
        os.link(tmp_path / "0.png", tmp_path / f"{index}.png")
    grown, facts = opened(tmp_path, resolution=16)
    assert facts["count"] == 3
    assert grown < 1100  # one has 137 MiB, twice while it shrinks; threads give freed memory back late
    grown, said = opened(tmp_path)
    assert "6000x6000" in said
    assert "--resolution" in said
    assert grown < 1100


@pytest.mark.parametrize("name", ["a.png", "0.png"], ids=["picture", "frame"])
def test_a_picture_of_one_endless_row_is_no_strip_of_millions_of_frames(tmp_path, name):
    (tmp_path / name).write_bytes(blank_png(20_000_000, 1, 1))
    for frames in (None, 4):
        with pytest.raises(DataError, match=r"longer than 262144|no readable video"):
            open_dataset(str(tmp_path), frames=frames)


@pytest.mark.parametrize("frames", [18, 20_000])
def test_an_animation_of_few_bytes_and_many_pixels_is_not_decoded(tmp_path, frames):
    (tmp_path / "a.gif").write_bytes(blank_gif(9000, 9000, frames))
    with pytest.raises(DataError, match=rf"{frames} frames of 9000x9000 .* billion pixels"):
        open_dataset(str(tmp_path))


def test_a_blank_animation_of_honest_size_is_read(tmp_path):
    first, *others = [Image.new("L", (256, 256), value) for value in range(100)]
    first.save(tmp_path / "a.gif", save_all=True, append_images=others)
    assert len(open_dataset(str(tmp_path), frames=10)) == 10


def test_members_that_are_only_zeros_are_not_unpacked(tmp_path):
    with zipfile.ZipFile(tmp_path / "set.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.png", blank_png(8, 8, 1))
        archive.writestr("zeros.png", bytes(2**27))
    dataset = open_dataset(str(tmp_path / "set.zip"))
    assert len(dataset) == 1
    assert "would unpack to 128.0 MiB" in dataset.skipped[0]


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_a_compressed_tar_unpacks_to_what_its_size_justifies(tmp_path, ending):
    class Zeros(io.RawIOBase):
        def read(self, size=-1):
            return bytes(size)

    path = tmp_path / f"set.tar.{ending}"
    with tarfile.open(path, f"w:{ending}") as archive:
        for name in ("a.png", "b.png"):
            info = tarfile.TarInfo(name)
            info.size = 2**26
            archive.addfile(info, Zeros())
    with pytest.raises(DataError, match=r"would unpack to .* MiB or more.*split it"):
        open_dataset(str(path))


def npz_of_zeros(path, shape):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x.npy", "w", force_zip64=True) as member,
    ):
        member.write(header.getvalue())
        for _ in range(math.prod(shape) >> 20):
            member.write(bytes(2**20))
    return str(path)


def test_an_array_of_a_compressed_file_is_judged_by_its_header(tmp_path):
    grown, said = opened(npz_of_zeros(tmp_path / "a.npz", (1280 * 2**10, 32, 32)))
    assert "would take 1.2 GiB of memory" in said
    assert grown < 100
    assert len(open_dataset(npz_of_zeros(tmp_path / "b.npz", (2**14, 32, 32)))) == 2**14


def test_an_array_that_promises_more_than_its_file_holds_is_cut_off(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((100, 8, 8), np.uint8))
    data = (tmp_path / "a.npy").read_bytes().replace(b"(100, 8, 8)", b"(10**9,8,8)".replace(b"10**9", b"99999"))
    (tmp_path / "a.npy").write_bytes(data)
    with pytest.raises(DataError, match="cut off"):
        open_dataset(str(tmp_path / "a.npy"))


def test_a_long_text_in_a_parquet_is_not_copied_for_each_row(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    columns = {"label": arrow.DictionaryArray.from_arrays([0] * 2000, ["a" * 1_000_000]), "x": list(range(2000))}
    parquet.write_table(arrow.table(columns), path, compression="zstd")
    grown, said = opened(path, window=8)
    assert "the column 'label'" in said
    assert "1,000,000 characters, more than 4,096: remove it" in said
    assert grown < 300


def test_a_parquet_of_a_constant_is_judged_by_its_rows(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    with parquet.ParquetWriter(path, arrow.schema([("x", arrow.float32())]), compression="zstd") as writer:
        block = arrow.table({"x": np.zeros(2**24, np.float32)})
        for _ in range(9):
            writer.write_table(block)
    with pytest.raises(DataError, match=r"would take 1\.1 GiB"):
        open_dataset(str(path), window=8)


@pytest.mark.parametrize(
    "name", ["x.csv", "x.npz", "x.png", "x.zip", "x.tar.gz", "x.txt", "x.mp4", "x.parquet", "x.gz"]
)
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match="is a pipe, device or socket"):
        open_dataset(str(tmp_path / name))


def test_pipes_in_a_folder_are_left_out(tmp_path):
    (tmp_path / "a.png").write_bytes(blank_png(8, 8, 1))
    os.mkfifo(tmp_path / "b.png")
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    dataset = open_dataset(str(tmp_path))
    assert len(dataset) == 1
    assert dataset.skipped[0].startswith("b.png: not a file")
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(DataError, match="is a pipe, device or socket"):
        open_dataset(str(tmp_path), labels=str(tmp_path / "labels.csv"))


def test_threads_share_a_budget_and_a_large_need_waits_until_it_is_alone():
    budget, lock, held, most = Budget(10), threading.Lock(), [], []

    def work(needed):
        with budget.hold(needed):
            with lock:
                held.append(needed)
                most.append(list(held))
            time.sleep(0.002)
            with lock:
                held.remove(needed)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [3, 25, 4, 1, 6, 10, 2, 11] * 4))
    assert all(sum(together) <= 10 or len(together) == 1 for together in most)
