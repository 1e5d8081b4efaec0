import json
import os
import struct

import pytest
import torch
from safetensors.torch import save_file

from sparring.files import CheckpointError, load_tensors, save_tensors, write_atomic
from sparring.training.checkpoint import Checkpoints


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# ---- write_atomic ---------------------------------------------------------------------------------------------------


def test_writes_the_file_and_nothing_else(tmp_path):
    write_atomic(tmp_path / "a.txt", lambda path: path.write_text("first"))
    write_atomic(tmp_path / "a.txt", lambda path: path.write_text("second"))
    assert (tmp_path / "a.txt").read_text() == "second"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError, ValueError, KeyboardInterrupt])
def test_a_failing_writer_leaves_the_old_file_and_no_other(tmp_path, error):
    (tmp_path / "a.txt").write_text("old")

    def fail(path):
        path.write_text("half of the n")
        raise error("disk full")

    with pytest.raises(error, match="disk full"):
        write_atomic(tmp_path / "a.txt", fail)
    assert (tmp_path / "a.txt").read_text() == "old"
    assert names(tmp_path) == ["a.txt"]
    with pytest.raises(error):
        write_atomic(tmp_path / "new.txt", fail)
    assert names(tmp_path) == ["a.txt"]


def test_the_old_file_is_there_until_the_new_one_is_complete(tmp_path):
    (tmp_path / "a.txt").write_text("old")

    def look(path):
        path.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
        assert path.parent == tmp_path  # the same file system, so that renaming is atomic

    write_atomic(tmp_path / "a.txt", look)
    assert (tmp_path / "a.txt").read_text() == "new"


def test_a_writer_that_writes_nothing_is_an_error(tmp_path):
    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(FileNotFoundError):
        write_atomic(tmp_path / "a.txt", lambda path: None)
    assert (tmp_path / "a.txt").read_text() == "old"


# ---- one file -------------------------------------------------------------------------------------------------------

TENSORS = {
    "weight": torch.randn(3, 4, generator=torch.Generator().manual_seed(0)),
    "step": torch.tensor(7.0),
    "counts": torch.tensor([1, 2**40]),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "none": torch.zeros(0, 3),
    "bits": torch.tensor([torch.inf, -0.0, 1e-45]),
}
META = {"samples_seen": 12_800, "seconds": 1.25, "data": {"name": "Ziffern · 数字"}, "nothing": None}


def test_what_is_saved_is_loaded_bit_for_bit(tmp_path):
    save_tensors(tmp_path / "a.safetensors", TENSORS, META)
    tensors, meta = load_tensors(tmp_path / "a.safetensors")
    assert meta == META
    assert tensors.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert tensors[name].dtype == tensor.dtype
        assert tensors[name].shape == tensor.shape
        assert torch.equal(tensors[name].flatten().view(torch.uint8), tensor.flatten().view(torch.uint8)), name


def test_who_may_read_other_files_may_read_weights(tmp_path):
    (tmp_path / "plain").touch()
    save_tensors(tmp_path / "a.safetensors", {"x": torch.zeros(2)}, {})
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_views_and_weights_that_require_gradients_can_be_saved(tmp_path):
    matrix = torch.arange(6.0).view(2, 3).requires_grad_()
    save_tensors(tmp_path / "a.safetensors", {"turned": matrix.T, "column": matrix[:, 1]}, {})
    tensors, _ = load_tensors(tmp_path / "a.safetensors")
    assert tensors["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert tensors["column"].tolist() == [1, 4]
    assert not tensors["turned"].requires_grad


def test_loaded_tensors_outlive_the_replacement_of_their_file(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, META)
    tensors, _ = load_tensors(path)
    save_tensors(path, {"weight": torch.zeros(3, 4)}, META)
    path.unlink()
    assert torch.equal(tensors["weight"], TENSORS["weight"])


def damaged(path, kind):
    """Turns a good file into a bad one."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    if kind == "another program's":
        save_file({"weight": torch.zeros(2)}, path)
    elif kind == "another program's metadata":
        save_file({"weight": torch.zeros(2)}, path, metadata={"format": "pt"})
    elif kind == "no JSON":
        save_file({"weight": torch.zeros(2)}, path, metadata={"sparring": "{"})
    elif kind == "folder":
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(
            {
                "empty": b"",
                "a few bytes": content[:5],
                "cut in the header": content[: 8 + length // 2],
                "cut in the tensors": content[:-1],
                "too long": content + b"\0",
                "zeros": bytes(len(content)),
                "garbage": bytes(range(256)) * 4,
                "text": b"version https://git-lfs.github.com/spec/v1\n",
                "huge header": struct.pack("<Q", 2**60) + content[8:],
                "header is no JSON": content[:8] + b"x" * length + content[8 + length :],
            }[kind]
        )


KINDS = [
    "empty", "a few bytes", "cut in the header", "cut in the tensors", "too long", "zeros", "garbage", "text",
    "huge header", "header is no JSON", "another program's", "another program's metadata", "no JSON", "folder",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_anything_else_is_refused_in_one_line(tmp_path, kind):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, META)
    damaged(path, kind)
    with pytest.raises(CheckpointError, match=r"damaged or not from sparring .*: restore it or delete it") as caught:
        load_tensors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_named_pipe_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.safetensors")
    with pytest.raises(CheckpointError, match=r"a\.safetensors is no regular file"):
        load_tensors(tmp_path / "a.safetensors")


def test_cutting_a_file_short_anywhere_is_noticed(tmp_path):
    path = tmp_path / "a.safetensors"
    save_tensors(path, TENSORS, META)
    content = path.read_bytes()
    for length in range(0, len(content), 7):
        path.write_bytes(content[:length])
        with pytest.raises(CheckpointError):
            load_tensors(path)


# ---- the folder -----------------------------------------------------------------------------------------------------


def save(checkpoints, samples_seen):
    return checkpoints.save(samples_seen, {"weight": torch.tensor(float(samples_seen))}, {"samples_seen": samples_seen})


def latest(checkpoints):
    (tensors, meta), problems = checkpoints.restore_latest(lambda *state: state)
    assert float(tensors["weight"]) == meta["samples_seen"]
    return meta["samples_seen"], problems


@pytest.mark.parametrize("keep", [1, 2, 5])
def test_the_newest_few_stay(tmp_path, keep):
    checkpoints = Checkpoints(tmp_path / "checkpoints", keep)
    for seen in (0, 64, 640, 6400, 1_000_000):
        path = save(checkpoints, seen)
        assert path.exists()
        assert latest(checkpoints) == (seen, [])
    assert [int(path.stem) for path in checkpoints.paths()] == [0, 64, 640, 6400, 1_000_000][-keep:]


def test_order_is_by_number_not_by_time_or_spelling(tmp_path):
    checkpoints = Checkpoints(tmp_path, 3)
    for seen in (1000, 9, 200):
        save(checkpoints, seen)
    assert [int(path.stem) for path in checkpoints.paths()] == [9, 200, 1000]
    assert latest(checkpoints)[0] == 1000


def test_other_files_are_neither_read_nor_deleted(tmp_path):
    checkpoints = Checkpoints(tmp_path, 1)
    others = ["notes.txt", ".000000000900.safetensors.1.tmp", "best.safetensors", "9.safetensors", "000000000900.bak"]
    for name in others:
        (tmp_path / name).write_text("mine")
    save(checkpoints, 10)
    save(checkpoints, 20)
    assert latest(checkpoints) == (20, [])
    assert names(tmp_path) == sorted([*others, "000000000020.safetensors"])


def test_no_checkpoint_yet(tmp_path):
    def unused(tensors, meta):
        raise AssertionError

    assert Checkpoints(tmp_path / "nothing", 2).restore_latest(unused) is None
    assert Checkpoints(tmp_path, 2).restore_latest(unused) is None
    assert not (tmp_path / "nothing").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_the_newest_readable_one_is_used_and_the_others_are_named(tmp_path, kind):
    checkpoints = Checkpoints(tmp_path, 3)
    for seen in (10, 20, 30):
        save(checkpoints, seen)
    damaged(tmp_path / "000000000030.safetensors", kind)
    seen, problems = latest(checkpoints)
    assert seen == 20
    (problem,) = problems
    assert "000000000030.safetensors" in problem
    damaged(tmp_path / "000000000020.safetensors", "empty")
    seen, problems = latest(checkpoints)
    assert seen == 10
    assert len(problems) == 2


def test_where_all_are_damaged_the_newest_is_named(tmp_path):
    checkpoints = Checkpoints(tmp_path, 3)
    for seen in (10, 20):
        damaged(save(checkpoints, seen), "empty")
    with pytest.raises(CheckpointError, match=r"000000000020\.safetensors"):
        checkpoints.restore_latest(lambda *state: state)


def test_a_failed_save_keeps_the_older_ones(tmp_path):
    checkpoints = Checkpoints(tmp_path, 1)
    save(checkpoints, 10)
    with pytest.raises(TypeError):
        checkpoints.save(20, {"weight": torch.zeros(1)}, {"not": json})
    with pytest.raises((TypeError, AttributeError)):
        checkpoints.save(20, {"weight": "no tensor"}, {})
    assert latest(checkpoints) == (10, [])
    assert names(tmp_path) == ["000000000010.safetensors"]


@pytest.mark.parametrize("keep", [1, 2])
def test_what_was_just_saved_stays_though_damaged_ones_are_newer(tmp_path, keep):
    for seen in (10, 20, 30):
        save(Checkpoints(tmp_path, 3), seen)
    for seen in (20, 30):
        damaged(tmp_path / f"{seen:012d}.safetensors", "empty")
    checkpoints = Checkpoints(tmp_path, keep)  # resumed from 10 with a smaller --train.keep_checkpoints
    for seen in (12, 15):
        save(checkpoints, seen)
        assert latest(checkpoints)[0] == seen
