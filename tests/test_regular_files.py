"""Run folders whose files are links to devices or named pipes: one line, at once."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from sparring.files import CheckpointError
from sparring.regular_files import open_regular, read_regular
from sparring.training.logs import MAX_BYTES, logged_rows

from command_line import fails

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="devices and named pipes are files elsewhere"),
    pytest.mark.timeout(60),
]


@pytest.fixture
def run(trained_once, tiny, shapes, tmp_path):
    return Path(shutil.copytree(trained_once(tiny, shapes), tmp_path / "run"))


def become(path, kind):
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_what_is_no_file_is_not_read(run, capsys, tmp_path, kind):
    for name in ("config.json", "model.safetensors", "metrics.jsonl", "verdict.txt"):
        odd = shutil.copytree(run, tmp_path / name)
        become(odd / name, kind)
        fails(capsys, "info", odd, saying=f"{name} is no regular file: put a copy of the file in its place")
    fails(capsys, "sample", tmp_path / "config.json", saying="is no regular file")


def test_a_file_may_have_so_many_bytes(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"12345")
    assert read_regular(file, 5, ValueError) == b"12345"
    with pytest.raises(ValueError, match="too large: it may have 4 bytes at most"):
        read_regular(file, 4, ValueError)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none", 4, ValueError)
    link = tmp_path / "link"
    link.symlink_to(file)
    with open_regular(link, 5, ValueError) as opened:
        assert opened.read(2) == b"12"


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="there is no /proc")
def test_a_file_that_hides_its_size_is_read_no_further(tmp_path):
    (tmp_path / "link").symlink_to("/proc/self/maps")  # 0 bytes, it says
    with pytest.raises(ValueError, match="too large"):
        read_regular(tmp_path / "link", 100, ValueError)


def test_a_huge_log_is_not_read(tmp_path):
    with open(tmp_path / "metrics.jsonl", "wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(CheckpointError, match="too large"):
        logged_rows(tmp_path)
