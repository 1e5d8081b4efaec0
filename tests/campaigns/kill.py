"""Kills trainings at random moments, and checks that the same command ends as if nothing had happened.

    python tests/campaigns/kill.py --kills 1000 --seed 0

A child process trains a small GAN of one modality and is killed (SIGKILL): half of the time a moment after it begins
to open, move or delete a file of its run, else at any time. Then the run is copied, and the copy is trained to its end:
its model, its newest checkpoint, `best/`, its rows and its sheets must equal those of an unbroken run. The killed run
goes on and is killed again, three times in a row. Prints a summary as JSON; ends with 1 if anything was lost.
"""

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from sparring.config import Config
from sparring.data.dataset import Dataset
from sparring.files import is_leftover, load_tensors
from sparring.modalities.registry import open_dataset
from sparring.training.run import train

WRITES = ("open", "os.rename", "os.remove", "os.mkdir")
"""Audit events of writes; `open` is one only where a file is opened for writing."""
SMALL = {
    "model.width": 16, "model.depth": 1, "model.num_heads": 2, "model.z_dim": 4, "model.noise_dim": 4,
    "optim.warmup": 0, "train.batch_size": 8, "train.num_samples": 160, "train.checkpoint_every": 16,
    "train.sample_every": 80, "train.evaluate_every": 80, "train.device": "cpu",
}  # fmt: skip
LEARNT = {"codec.width": 16, "codec.depth": 1, "codec.latents": 2, "codec.latent_dim": 4, "codec.num_samples": 64,
          "codec.batch_size": 8}  # fmt: skip
UNSCORED = {"train.evaluate_every": 0}  # a score of these takes longer than the training
RUNS: dict[str, dict[str, object]] = {
    "points": {"data.path": "rings", "codec.patch_size": 1},
    "image": {"data.path": "image.npy", "codec.patch_size": 4},
    "image in latents": {"data.path": "image.npy", "codec.name": "autoencoder", **LEARNT},
    "video": {"data.path": "video.npy", "data.frames": 4, "codec.patch_size": 4, **UNSCORED},
    "text": {"data.path": "text.txt", "codec.name": "text", **LEARNT, **UNSCORED},
    "series": {"data.path": "series.npy", "codec.patch_size": 4, **UNSCORED},
    "series in latents": {"data.path": "series.npy", "codec.name": "autoencoder", **LEARNT, **UNSCORED},
}
SHAPES = {"image": (64, 8, 8), "video": (32, 4, 8, 8, 1), "series": (64, 12, 2)}
KILLS_IN_A_ROW = 3


@dataclass
class Outcome:
    """The counts of a campaign."""

    kills: Counter[str] = field(default_factory=Counter)
    """By the phase of the run, as its newest checkpoint tells, or `finished` for children that were quicker."""
    losses: list[str] = field(default_factory=list)


def write_data(folder: Path) -> None:
    """Writes the small data sets of `RUNS`."""
    random_numbers = np.random.default_rng(0)
    for name, shape in SHAPES.items():
        values = random_numbers.random(shape).astype(np.float32)
        np.save(folder / f"{name}.npy", values if name == "series" else (255 * values).astype(np.uint8))
    letters = random.Random(0)
    (folder / "text.txt").write_text("".join("".join(letters.choices("abcde", k=5)) + "\n" for _ in range(64)))


class Killed:
    """A run of one kind: its straight twin and its killings."""

    def __init__(self, kind: str, folder: Path, settings: dict[str, object], chance: random.Random) -> None:
        self.kind, self.folder, self.chance = kind, folder, chance
        path = folder.parent / str(settings["data.path"])
        self.config = Config().replace(SMALL | settings | ({"data.path": str(path)} if path.exists() else {}))
        self.dataset = open_dataset(**self.config.data.to_dict())
        assert finished(self.child(folder / "first")) == 0, f"{kind} cannot be trained"
        import_as_children_did(folder)
        started = time.perf_counter()
        assert finished(self.child(folder / "straight")) == 0
        self.seconds = time.perf_counter() - started
        self.expected = contents(folder / "straight")

    def child(self, out: Path, report_writes: int | None = None, prepare: Callable[[], None] = lambda: None) -> int:
        """Starts a training in a child process, which calls `prepare` first; returns its process number."""

        def work() -> None:
            prepare()
            train_quietly(self.config, out, self.dataset, report_writes)

        return forked(work)

    def kill(self, out: Path) -> bool:
        """Trains in `out` until a random moment; False if the child was quicker."""
        at_write = self.chance.random() < 0.5
        read, write = os.pipe()
        process = self.child(out, write if at_write else None)
        os.close(write)
        if at_write:  # the n-th write, and up to 3 ms of it
            wanted = int(self.chance.expovariate(1 / 15))
            for _ in range(1 + wanted):
                if not os.read(read, 1):
                    break
            time.sleep(self.chance.choice([0, 0.003 * self.chance.random()]))
        else:
            time.sleep(self.chance.random() * self.seconds)
        os.close(read)
        os.kill(process, signal.SIGKILL)
        return finished(process) == -signal.SIGKILL

    def differences(self, out: Path) -> Iterator[str]:
        """Trains a copy of `out` to its end; yields what differs from the straight run."""
        copy = out.with_name("copy")
        shutil.copytree(out, copy) if out.exists() else copy.mkdir()
        try:
            if (code := finished(self.child(copy))) != 0:
                yield f"the same command ended with {code}"
                return
            found = contents(copy)
            yield from (name for name in self.expected | found if self.expected.get(name) != found.get(name))
        finally:
            shutil.rmtree(copy)


@contextlib.contextmanager
def prepared(kinds: dict[str, dict[str, object]], seed: int, log: Callable[[str], None]) -> Iterator[list[Killed]]:
    """The runs of these kinds, in a temporary folder."""
    torch.set_num_threads(1)
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as temporary:
        write_data(Path(temporary))
        runs = []
        for kind, settings in kinds.items():
            folder = Path(temporary) / kind
            folder.mkdir()
            runs.append(Killed(kind, folder, settings, chance))
            log(f"{kind}: a straight run takes {runs[-1].seconds:.1f} s")
        yield runs


def campaign(kills: int, seed: int, kinds: dict[str, dict[str, object]], log: Callable[[str], None]) -> Outcome:
    """Kills `kills` children, the kinds in turn."""
    outcome = Outcome()
    with prepared(kinds, seed, log) as runs:
        while outcome.kills.total() - outcome.kills["finished"] < kills:
            for run in runs:
                out = run.folder / "killed"
                for _ in range(KILLS_IN_A_ROW):
                    killed = run.kill(out)
                    outcome.kills[f"{run.kind}, {phase(run.config, out)}" if killed else "finished"] += 1
                    for name in run.differences(out):
                        outcome.losses.append(f"{run.kind}: {name}")
                        log(f"LOST {outcome.losses[-1]}")
                shutil.rmtree(out, ignore_errors=True)
            log(f"{outcome.kills.total()} children, {len(outcome.losses)} losses")
    return outcome


def phase(config: Config, out: Path) -> str:
    """The phase in which a run was killed."""
    states = sorted(path.stem for path in (out / "checkpoints").glob("*.safetensors"))
    if not states:
        return "before its first checkpoint"
    return "codec" if int(states[-1]) < config.codec_samples else "GAN"


def contents(out: Path) -> dict[str, object]:
    """What a finished run must have: its files, but for the time that they took and the older checkpoint."""
    found: dict[str, object] = {}
    for path in sorted(out.rglob("*")):
        name = str(path.relative_to(out))
        if path.is_dir() or path.parent.name == "checkpoints" or path.name in (".lock", "training.png"):
            continue
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in path.read_text().splitlines()]
            found[name] = [{key: value for key, value in row.items() if key != "seconds"} for row in rows]
        elif path.name == "metrics.json":
            found[name] = {key: value for key, value in json.loads(path.read_text()).items() if key != "seconds"}
        else:
            found[name] = path.read_bytes()
    newest = max((out / "checkpoints").glob("*.safetensors"))
    tensors, meta = load_tensors(newest)
    found["newest checkpoint"] = newest.name, {key: value for key, value in meta.items() if key != "seconds"}
    found |= {
        f"state {name}": tensor.reshape(-1).view(torch.uint8).numpy().tobytes() for name, tensor in tensors.items()
    }
    assert not any(is_leftover(path) for path in out.rglob("*")), "a finished run leaves no temporary files"
    return found


def train_quietly(config: Config, out: Path, dataset: Dataset, report_writes: int | None) -> None:
    """Trains; a byte for each write below `out` goes to the descriptor `report_writes`."""

    def heard(event: str, arguments: tuple[object, ...]) -> None:
        if event in WRITES and str(arguments[0]).startswith(str(out)):
            mode = arguments[1] if event == "open" else "w"
            if (isinstance(mode, str) and set(mode) & set("wax+")) or mode is None:
                os.write(report_writes, b".")

    if report_writes is not None:
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)
        sys.addaudithook(heard)
    train(config, out, dataset=dataset)
    (out.parent / "modules.txt").write_text("\n".join(sys.modules))


def import_as_children_did(folder: Path) -> None:
    """Imports what a training imports late, so that children start fast."""
    for name in (folder / "modules.txt").read_text().split("\n"):
        with contextlib.suppress(Exception):
            importlib.import_module(name)


def forked(work: Callable[[], None]) -> int:
    """Runs `work` in a child process, which has imported everything; returns its process number."""
    process = os.fork()
    if process:
        return process
    code = 1
    try:
        work()
        code = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(code)


def finished(process: int) -> int:
    """Waits; returns the exit code, negative for a signal."""
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    started = time.perf_counter()
    outcome = campaign(options.kills, options.seed, RUNS, lambda line: print(line, file=sys.stderr, flush=True))
    killed = {name: count for name, count in outcome.kills.items() if name != "finished"}
    minutes = round((time.perf_counter() - started) / 60, 1)
    counts = {"kills": sum(killed.values()), "losses": len(outcome.losses), "minutes": minutes}
    print(json.dumps(counts | {"where": dict(sorted(killed.items()))}))
    return bool(outcome.losses)


if __name__ == "__main__":
    sys.exit(main())
