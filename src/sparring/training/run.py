"""A training run and its folder: what is written when, resuming, roll-backs, interrupts, the verdict.

config.json          every setting, and what the networks must know of the data
model.safetensors    the averaged generator and the discriminator; the config is in its metadata too
checkpoints/         complete training states, the newest few
samples/             a grid of samples at intervals, always from the same z
metrics.jsonl        one line of measurements every so often
samples.png, training.png, verdict.txt     at the end
"""

import contextlib
import json
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import torch
from torch import Tensor

from sparring import pictures
from sparring.config import Config, ConfigError, differences
from sparring.data import open_dataset
from sparring.data.dataset import Dataset
from sparring.device import choose_device, choose_dtype
from sparring.metrics import metric_for
from sparring.models.networks import DataSpec, Networks
from sparring.pretrained import GAN, read_config, run_json, write_model
from sparring.training.checkpoint import Checkpoints, write_atomic
from sparring.training.diagnostics import Verdict, diversity, judge
from sparring.training.logs import MetricsLog
from sparring.training.state import under
from sparring.training.trainer import Trainer

MAX_ROLLBACKS = 3
ROWS = 400  # lines of metrics.jsonl in a whole run
GRID = 100  # samples in a picture


class Diverged(RuntimeError):
    """The loss stayed non-finite after several roll-backs."""


class Interrupted(Exception):
    """SIGINT or SIGTERM arrived; the run is saved. `signal` is its number."""

    def __init__(self, number: int) -> None:
        super().__init__("interrupted")
        self.signal = number


@dataclass(frozen=True)
class Progress:
    """What `report` is told after every logged row."""

    samples_seen: int
    num_samples: int
    samples_per_second: float
    row: dict[str, float]


Report = Callable[[Progress], None]


def train(
    config: Config,
    out: str | Path,
    *,
    dataset: Dataset | None = None,
    report: Report = lambda progress: None,
    say: Callable[[str], None] = lambda line: None,
) -> Verdict:
    """Trains a GAN into the folder `out`, or goes on where a run there stopped; returns the verdict.

    Raises `ConfigError` where `out` holds a run with other settings, `DataError` for unusable data, `Diverged`, and
    `Interrupted` once an interrupted run is saved.
    """
    run = Run(config, Path(out), dataset, say)
    with _caught_signals() as caught, _flushed_denormals():
        run.fit(report, caught)
    return run.finish()


class Run:
    """One run folder and the trainer that fills it."""

    def __init__(self, config: Config, folder: Path, dataset: Dataset | None, say: Callable[[str], None]) -> None:
        self.config, self.folder, self.say = config, folder, say
        data = config.data
        if dataset is None:
            dataset = open_dataset(
                data.path, resolution=data.resolution, labels=data.labels, conditional=data.conditional
            )
        self.dataset = dataset
        self.spec = DataSpec(dataset.sample_shape, tuple(dataset.class_names))
        self._check_folder()
        device = choose_device(config.train.device)
        dtype, reason = choose_dtype(config.train.precision, device)
        torch.manual_seed(config.train.seed)
        networks = Networks(config, self.spec)
        self.trainer = Trainer(config, networks, dataset, device, dtype)
        self.checkpoints = Checkpoints(folder / "checkpoints", config.train.keep_checkpoints)
        self.metric = metric_for(dataset)
        counts = [sum(p.numel() for p in n.parameters()) for n in (networks.generator, networks.discriminator)]
        self.say(
            f"{len(dataset)} samples of {'×'.join(map(str, dataset.sample_shape))}, {self.spec.num_classes} classes; "
            f"generator {counts[0]:,} and discriminator {counts[1]:,} parameters; {device}, {reason}"
        )
        for note in dataset.notes:
            self.say(f"note: {note}")
        if dataset.skipped:
            self.say(f"skipped {len(dataset.skipped)} files that cannot be read, first {dataset.skipped[0]}")
        self._start_or_resume()

    def fit(self, report: Report, caught: Sequence[int]) -> None:
        """Trains to the configured length; saves and raises `Interrupted` once a signal number is `caught`."""
        train, trainer = self.config.train, self.trainer
        start, started = trainer.samples_seen, time.perf_counter()
        log_every = max(train.batch_size, train.num_samples // ROWS)
        window = _Window()

        def after_step(logs: dict[str, Tensor]) -> bool:
            window.add(logs)
            seen, before = trainer.samples_seen, trainer.samples_seen - train.batch_size
            done = seen >= train.num_samples

            def due(every: int) -> bool:
                return done or seen // every > before // every

            picture, checkpoint = due(train.sample_every), due(train.checkpoint_every)
            evaluation = self.metric is not None and train.evaluate_every > 0 and due(train.evaluate_every)
            if caught or due(log_every) or picture or checkpoint or evaluation:
                row = window.mean()
                if not all(map(math.isfinite, row.values())):
                    self._roll_back()
                    window.clear()
                    return True
                row = {"samples_seen": seen, "seconds": self.seconds + time.perf_counter() - started} | row
                if picture:
                    row |= self._picture()
                if self.metric and evaluation:
                    row |= self.metric(self._sample)
                self.log.add(row)
                window.clear()
                rate = (seen - start) / (time.perf_counter() - started)
                report(Progress(seen, train.num_samples, rate, row))
                if caught or checkpoint:
                    self._save(row["seconds"])
                    if caught and not done:
                        raise Interrupted(caught[0])
            return True

        trainer.fit(after_step)

    def finish(self) -> Verdict:
        """The pictures, the plot and the verdict on the whole run."""
        pictures.save_image(pictures.grid(self._sample(GRID)[0], self._columns()), self.folder / "samples.png")
        pictures.plot_training(self.log.rows, self.folder / "training.png")
        verdict = judge(self.log.rows, self.trainer.rollbacks)
        (self.folder / "verdict.txt").write_text(verdict.text + "\n", encoding="utf-8")
        return verdict

    # ---- starting and resuming ------------------------------------------------------------------------------------

    def _check_folder(self) -> None:
        """Refuses a folder that holds another run, or something else."""
        if self.folder.is_file():
            raise ConfigError(f"--out {self.folder} is a file: name a folder")
        if not (self.folder / "config.json").exists():
            if self.folder.is_dir() and any(self.folder.iterdir()):
                raise ConfigError(f"--out {self.folder} is not empty and holds no run: name a new folder")
            return
        config, spec = read_config(self.folder)
        changed = differences(config, self.config)
        if changed:
            listed = "; ".join(f"--{name} is {old} there and {new} here" for name, (old, new) in changed.items())
            raise ConfigError(f"{self.folder} holds a run with other settings: {listed}. Use them, or another --out")
        if spec != self.spec:
            raise ConfigError(
                f"--out {self.folder} was trained on {spec.sample_shape} samples of {spec.num_classes} classes, and "
                f"{self.config.data.path} now has {self.spec.sample_shape} of {self.spec.num_classes}: use another"
            )

    def _start_or_resume(self) -> None:
        self.seconds = 0.0
        latest = self.checkpoints.load_latest()
        if latest is not None and latest[1]["data"] != self.dataset.fingerprint:
            raise ConfigError(
                f"the data at {self.config.data.path} changed since {self.folder} began: use another --out"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = MetricsLog(self.folder, tensorboard=self.config.train.tensorboard)
        text = json.dumps(run_json(self.config, self.spec), indent=2)
        write_atomic(self.folder / "config.json", lambda temporary: temporary.write_text(text, encoding="utf-8"))
        if latest is None:
            self.log.go_back_to(-1)
            self._save(0.0)
            return
        tensors, meta, problems = latest
        for problem in problems:
            self.say(f"skipped a checkpoint: {problem}")
        self.trainer.restore(tensors, meta)
        self.seconds = meta["seconds"]
        self.log.go_back_to(self.trainer.samples_seen)
        self.say(f"resumed {self.folder} at {self.trainer.samples_seen:,} samples")

    # ---- what is written while it runs ----------------------------------------------------------------------------

    def _save(self, seconds: float) -> None:
        tensors, counts = self.trainer.state()
        meta = counts | {"seconds": seconds, "data": self.dataset.fingerprint}
        self.checkpoints.save(self.trainer.samples_seen, tensors, meta)
        weights = {f"generator.{name}": value for name, value in under(tensors, "ema.").items()}
        weights |= {name: value for name, value in tensors.items() if name.startswith("discriminator.")}
        write_model(self.folder / "model.safetensors", weights, self.config, self.spec)

    def _roll_back(self) -> None:
        """Back to the last checkpoint, with smaller steps and other noise."""
        trainer, at = self.trainer, self.trainer.samples_seen
        rollbacks = trainer.rollbacks + 1
        if rollbacks > MAX_ROLLBACKS:
            raise Diverged(
                f"the loss became non-finite at {at:,} samples, for the {rollbacks}th time: try half the --optim.lr "
                f"{self.config.optim.lr:g}, a larger --loss.r1 and --loss.r2, or --train.precision float32"
            )
        latest = self.checkpoints.load_latest()
        assert latest is not None, "a run saves its first state before its first step"
        tensors, counts, _ = latest
        trainer.restore(tensors, counts | {"rollbacks": rollbacks})
        self.log.go_back_to(trainer.samples_seen)
        self.say(
            f"the loss became non-finite at {at:,} samples: went back to {trainer.samples_seen:,} with half the "
            f"learning rate (roll-back {rollbacks} of {MAX_ROLLBACKS})"
        )

    def _picture(self) -> dict[str, float]:
        """Saves a grid of samples, always from the same z, and says how diverse they are."""
        samples, classes = self._sample(GRID)
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        image = pictures.grid(samples, self._columns())
        pictures.save_image(image, folder / f"{self.trainer.samples_seen:012d}.png")
        if classes is None:
            classes = torch.zeros(GRID, dtype=torch.long)
        return {"diversity": diversity(samples, self._real_of(classes), classes)}

    def _real_of(self, classes: Tensor) -> Tensor:
        """Real samples of these classes, spread over the data set."""
        labels, chosen = self.dataset.labels(), torch.empty_like(classes)
        for label in classes.unique():
            places = (labels == label).nonzero().flatten()
            wanted = classes == label
            chosen[wanted] = places[torch.linspace(0, len(places) - 1, int(wanted.sum())).long()]
        return self.dataset.batch(chosen)[0]

    def _columns(self) -> int:
        """Classes side by side where they fit, so that a column is a class."""
        return self.spec.num_classes if 2 <= self.spec.num_classes <= 20 else 10

    def _sample(self, num: int) -> tuple[Tensor, Tensor | None]:
        """The averaged generator's samples for seed 0 and their classes, all classes in turn."""
        trainer = self.trainer
        networks = Networks.assembled(trainer.codec, trainer.ema.model, trainer.discriminator)
        samples = GAN(self.config, self.spec, networks).sample(num)
        classes = torch.arange(num) % self.spec.num_classes if self.spec.num_classes else None
        return samples, classes


class _Window:
    """The mean of what the steps since the last line logged; reading it waits for the device."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.steps = 0

    def add(self, logs: dict[str, Tensor]) -> None:
        self.steps += 1
        for name, value in logs.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def mean(self) -> dict[str, float]:
        return {name: float(total) / self.steps for name, total in self.sums.items()}


@contextlib.contextmanager
def _flushed_denormals() -> Iterator[None]:
    """A saturated tanh leaves numbers so small that a CPU slows down on them; within the block they are zero."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


@contextlib.contextmanager
def _caught_signals() -> Iterator[list[int]]:
    """A list that SIGINT and SIGTERM append themselves to; a second one ends the program at once."""
    caught: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield caught
        return
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.getsignal(number) for number in numbers}

    def catch(number: int, frame: FrameType | None) -> None:
        caught.append(number)
        for each in numbers:
            signal.signal(each, before[each])

    for number in numbers:
        signal.signal(number, catch)
    try:
        yield caught
    finally:
        for number in numbers:
            signal.signal(number, before[number])
