"""What an input costs is bounded by what it justifies: memory, time, and files that never end."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from sparring.data.pictures import read_image

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
