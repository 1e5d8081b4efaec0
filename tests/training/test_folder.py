"""Faults of a run's folder: kills between two writes, leftovers, damaged checkpoints, two writers."""

import json
import math
import os
import re
import subprocess
import sys
from functools import partial

import pytest
import torch
from safetensors.torch import save_file

import sparring
from sparring.config import ConfigError
from sparring.files import CheckpointError, load_tensors, save_tensors
from sparring.training.lock import LOCK, locked
from sparring.training.run import Run, train


@pytest.fixture
def finished(tiny, shapes, tmp_path):
    train(tiny, tmp_path / "run", dataset=shapes)
    return tmp_path / "run"


def newest(folder):
    return sorted((folder / "checkpoints").iterdir())[-1]


def resumed(config, folder, shapes):
    """Resumes a run; returns its log."""
    said = []
    train(config, folder, dataset=shapes, log=said.append)
    return said


def test_a_kill_between_checkpoint_and_model_leaves_no_old_model(tiny, shapes, finished, tmp_path):
    new = (finished / "model.safetensors").read_bytes()
    train(tiny.replace({"train.num_samples": 32}), tmp_path / "shorter", dataset=shapes)
    os.replace(tmp_path / "shorter/model.safetensors", finished / "model.safetensors")
    assert (finished / "model.safetensors").read_bytes() != new
    resumed(tiny, finished, shapes)
    assert (finished / "model.safetensors").read_bytes() == new


def test_a_model_without_checkpoints_is_not_overwritten(tiny, shapes, finished):
    for file in (finished / "checkpoints").iterdir():
        file.unlink()
    before = (finished / "model.safetensors").read_bytes()
    with pytest.raises(ConfigError, match=r"no checkpoint to resume from: use another --out; `--from .*run` starts"):
        train(tiny, finished, dataset=shapes)
    assert (finished / "model.safetensors").read_bytes() == before


def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(tiny, shapes, tmp_path):
    with locked(tmp_path / "run"):
        Run(tiny, tmp_path / "run", shapes, print).folder.open()
    assert resumed(tiny, tmp_path / "run", shapes)
    assert sparring.load(tmp_path / "run").sample(1).shape == (1, 1, 8, 8)


# ---- leftovers ------------------------------------------------------------------------------------------------------


def test_leftovers_of_a_kill_neither_refuse_nor_stay(tiny, shapes, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".config.json.4321.tmp").write_text("{")
    train(tiny.replace({"train.num_samples": 32}), folder, dataset=shapes)
    for place in ("", "best", "checkpoints", "samples"):
        (folder / place).mkdir(exist_ok=True)
        (folder / place / ".some.safetensors.0123456789ab.tmp").write_bytes(bytes(100))
        (folder / place / ".tmpZv5TK9").write_bytes(bytes(100))  # as safetensors names its own
    (folder / "notes.tmp").write_text("mine")
    train(tiny, folder, dataset=shapes)
    assert [path.name for path in folder.rglob("*.tmp*")] == ["notes.tmp"]
    assert not list(folder.rglob(".tmp*"))


def test_leftovers_of_others_refuse(tiny, shapes, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / ".config.json.4321.tmp").write_text("{")
    (folder / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="is not empty and holds no run"):
        train(tiny, folder, dataset=shapes)
    assert sorted(path.name for path in folder.iterdir()) == [".config.json.4321.tmp", "letter.txt"]


# ---- two writers ----------------------------------------------------------------------------------------------------

HOLDER = """
import sys
from pathlib import Path
from sparring.training.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_training_is_refused_and_says_who_trains(tiny, shapes, finished):
    before = {path.name: path.read_bytes() for path in finished.iterdir() if path.is_file() and path.name != LOCK}
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(finished)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(ConfigError, match=f"is being trained by process {holder.pid} on .*: wait for it"):
            train(tiny.replace({"train.num_samples": 96}), finished, dataset=shapes)
        assert sparring.load(finished).sample(1).shape == (1, 1, 8, 8)  # readers need no lock
        holder.kill()  # the system releases the lock
    assert {name: (finished / name).read_bytes() for name in before} == before
    train(tiny.replace({"train.num_samples": 96}), finished, dataset=shapes)


def test_a_failed_training_releases_the_lock(tiny, shapes, finished):
    def fail(progress):
        raise RuntimeError("a bug of the caller")

    with pytest.raises(RuntimeError):
        train(tiny.replace({"train.num_samples": 96}), finished, dataset=shapes, report=fail)
    train(tiny.replace({"train.num_samples": 96}), finished, dataset=shapes)


# ---- damaged checkpoints --------------------------------------------------------------------------------------------


WEIGHT = "generator.scale.weight"


def without(prefix):
    def change(tensors, meta):
        for name in [name for name in tensors if name.startswith(prefix)]:
            del tensors[name]

    return change


def renamed(tensors, meta):
    tensors["generator.x"] = tensors.pop(WEIGHT)


def reshaped(tensors, meta):
    tensors[WEIGHT] = tensors[WEIGHT][:-1]


def rewritten(path, change):
    """Changes tensors and metadata of a checkpoint, which gets a digest that fits."""
    tensors, meta = load_tensors(path)
    change(tensors, meta)
    save_tensors(path, tensors, meta)


CHANGES = {
    "a renamed tensor": (renamed, "is (missing|unknown)"),
    "a lost tensor": (without(WEIGHT), f"{WEIGHT} is missing"),
    "a reshaped tensor": (reshaped, f"{WEIGHT} is .* of float32, not .* of float32"),
    "a lost network": (without("ema."), r"ema\.\S+ is missing"),
    "no optimiser": (without("optimizer.generator."), r"optimizer\.generator is missing"),
    "infinitely many samples": (lambda tensors, meta: meta.update(samples_seen=math.inf), "samples_seen: "),
    "negative roll-backs": (lambda tensors, meta: meta.update(rollbacks=-1), "rollbacks: "),
    "no counts": (lambda tensors, meta: meta.pop("samples_seen"), "samples_seen: Field required"),
    "seconds in words": (lambda tensors, meta: meta.update(seconds="three"), "seconds: "),
    "another precision": (lambda tensors, meta: meta.update(precision="int8"), "precision: "),
}


def flipped(path):
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def described(path, text):
    save_file(load_tensors(path)[0], path, metadata={"sparring": text})


DAMAGES = {
    "a flipped bit": (flipped, "its content does not match its digest"),
    "a list as metadata": (partial(described, text="[1]"), "its metadata are no object"),
    "nested metadata": (partial(described, text="[" * 100_000), "is damaged or not from sparring"),
} | {name: (partial(rewritten, change=change), says) for name, (change, says) in CHANGES.items()}


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_checkpoint_is_named_and_the_older_one_is_used(tiny, shapes, finished, tmp_path, kind):
    longer = tiny.replace({"train.num_samples": 80})
    train(longer, tmp_path / "straight", dataset=shapes)
    damage, says = DAMAGES[kind]
    damage(newest(finished))
    said = resumed(longer, finished, shapes)
    (problem,) = [line for line in said if line.startswith("skipped a checkpoint")]
    assert str(tmp_path) in problem
    assert "\n" not in problem
    assert re.search(says, problem), problem
    assert any("at 48 samples" in line for line in said)
    assert load_tensors(newest(finished))[1]["samples_seen"] == 80


def test_where_every_checkpoint_is_damaged_the_run_stops_and_keeps_all(tiny, shapes, finished):
    for path in (finished / "checkpoints").iterdir():
        rewritten(path, without(WEIGHT))
    before = {path: path.read_bytes() for path in finished.rglob("*.safetensors")}
    with pytest.raises(CheckpointError, match=f"64.safetensors does not fit the run .*{WEIGHT} is missing"):
        train(tiny.replace({"train.num_samples": 96}), finished, dataset=shapes)
    assert {path: path.read_bytes() for path in finished.rglob("*.safetensors")} == before


def test_a_file_without_a_digest_is_read(tmp_path):
    """As older versions wrote it."""
    save_file({"x": torch.arange(3.0)}, tmp_path / "a.safetensors", metadata={"sparring": json.dumps({"format": 1})})
    assert load_tensors(tmp_path / "a.safetensors")[0]["x"].tolist() == [0, 1, 2]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_in_place_of_the_best_row_is_refused_and_not_waited_for(tiny, shapes, tmp_path):
    run = Run(tiny, tmp_path / "run", shapes, print)
    (tmp_path / "run/best").mkdir(parents=True)
    os.mkfifo(tmp_path / "run/best/metrics.json")
    with pytest.raises(CheckpointError, match=r"metrics\.json is no regular file"):
        run.folder.best()


# ---- precision ------------------------------------------------------------------------------------------------------


def test_a_resumed_run_keeps_the_precision_that_auto_chose(tiny, shapes, tmp_path, monkeypatch):
    """On a CPU that chooses otherwise, the same run goes on."""
    used = []

    def choose(dtype):
        monkeypatch.setattr("sparring.training.run.choose_dtype", lambda *arguments: (dtype, "as this test says"))

    def run(samples, **changes):
        config = tiny.replace({"train.num_samples": samples, "train.evaluate_every": 0, **changes})
        made = Run(config, tmp_path / "run", shapes, used.append)
        with locked(made.folder.path):
            made.start()
            made.fit(lambda progress: None, [])
        return made.trainer.dtype

    choose(torch.bfloat16)
    assert run(32) == torch.bfloat16
    choose(torch.float32)
    assert run(64) == torch.bfloat16
    assert any("resumed" in line and "bfloat16" in line for line in used)
