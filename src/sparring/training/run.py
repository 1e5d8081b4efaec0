"""A training run and its folder: what is written when, resuming, roll-backs, interrupts, the verdict.

config.json          every setting, and what the networks must know of the data
model.safetensors    the averaged generator and the discriminator; the config is in its metadata too
best/                the same two files as they were when the metric was best, a run folder to sample from, and its row
checkpoints/         complete training states, the newest few
samples/             a grid of samples (of texts a list) at intervals, always from the same z
metrics.jsonl        one line of measurements every so often
samples.png (of texts .txt), training.png, verdict.txt     at the end
"""

import contextlib
import dataclasses
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor

from sparring.build import Networks, parameter_count
from sparring.codecs import LatentCodec, TrainedCodec
from sparring.config import Config, ConfigError, differences
from sparring.data.dataset import Dataset
from sparring.data.spec import DataSpec
from sparring.device import choose_device, choose_dtype, choose_threads
from sparring.display.training import plot_training
from sparring.files import write_atomic
from sparring.modalities.measuring import metric_for
from sparring.modalities.registry import modality_of, open_dataset
from sparring.pretrained import GAN, read_config, run_json, write_model
from sparring.training.checkpoint import Checkpoints
from sparring.training.codec_trainer import CodecTrainer, latents_of, measure
from sparring.training.diagnostics import Alarm, Verdict, diversity, judge
from sparring.training.goal import Goal
from sparring.training.logs import MetricsLog
from sparring.training.state import flatten, under
from sparring.training.trainer import Trainer

MAX_ROLLBACKS = 3
ROWS = 400  # lines of metrics.jsonl in a whole run
GRID = 100  # samples in a picture
CODEC_GRID = 20  # samples in a picture of a codec's work


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
    with _kept_threads(), _caught_signals() as caught, _flushed_denormals():
        run = Run(config, Path(out), dataset, say)
        run.fit(report, caught)
        return run.finish()


class Run:
    """One run folder and the trainers that fill it: the codec's, where it learns, and the GAN's."""

    def __init__(self, config: Config, folder: Path, dataset: Dataset | None, say: Callable[[str], None]) -> None:
        self.config, self.folder, self.say = config, folder, say
        self.dataset = dataset or open_dataset(**dataclasses.asdict(config.data))
        self.spec, self.modality = DataSpec.of(self.dataset), modality_of(self.dataset)
        self._check_batches()
        self._check_folder()
        device = choose_device(config.train.device)
        dtype, reason = choose_dtype(config.train.precision, device)
        torch.manual_seed(config.train.seed)
        networks = Networks(config, self.spec)
        self.codec = networks.codec
        self.trainer = Trainer(config, networks, self.dataset, device, dtype)
        self.phases: list[CodecTrainer | Trainer] = [self.trainer]
        if isinstance(self.codec, TrainedCodec):
            self.phases.insert(0, CodecTrainer(config, self.codec, self.dataset, device, dtype))
        elif isinstance(self.codec, LatentCodec):
            measure(self.codec, self.dataset, device)
        probe = None if config.train.compile else self.trainer.probe  # which would be compiled for this alone
        self.threads, why = choose_threads(probe, device)
        self.checkpoints = Checkpoints(folder / "checkpoints", config.train.keep_checkpoints)
        self.goal = Goal.of(config.train)
        self.metric = None
        if config.train.evaluate_every:
            also = self.goal.name if self.goal else None
            self.metric = metric_for(self.dataset, extractor=config.train.extractor, also=also, device=device)
        self._check_goal()
        zeros, slopes = torch.zeros(1), bool(config.loss.r1 or config.loss.r2)
        self.alarm = Alarm(self.trainer.loss.discriminator(zeros, zeros).item(), slopes=slopes)
        self.seconds = 0.0
        self.log = MetricsLog(folder, tensorboard=config.train.tensorboard)
        counts = [parameter_count(network) for network in (networks.generator, networks.discriminator)]
        learnt = parameter_count(self.codec)
        self.say(
            f"{len(self.dataset)} samples of {'×'.join(map(str, self.dataset.sample_shape))}, {self.spec.num_classes} "
            f"classes; generator {counts[0]:,} and discriminator {counts[1]:,} parameters"
            + (f", codec {learnt:,}" if learnt else "")
            + f"; {device}, {reason}"
            + (f"; threads: {self.threads}, {why}" if device.type == "cpu" else "")
        )
        for note in self.dataset.notes:
            self.say(f"note: {note}")
        if self.dataset.skipped:
            self.say(f"skipped {len(self.dataset.skipped)} that cannot be used, first {self.dataset.skipped[0]}")
        self._start_or_resume()
        torch.set_num_threads(self.threads)  # those of the run's start: sums of other numbers of threads differ

    @property
    def samples_seen(self) -> int:
        """By the codec's training and the GAN's together: what rows, checkpoints and pictures count in."""
        return sum(phase.samples_seen for phase in self.phases)

    def fit(self, report: Report, caught: Sequence[int]) -> None:
        """Trains to the configured length; saves and raises `Interrupted` once a signal number is `caught`."""
        for phase in self.phases:
            if phase.samples_seen >= phase.num_samples or (phase is self.trainer and self._reached(self.log.rows)):
                continue
            if phase is self.trainer and isinstance(self.codec, LatentCodec):
                self.codec.eval().requires_grad_(False)
                self.trainer.dataset = latents_of(self.dataset, self.codec, self.trainer.device)
            self._fit(phase, report, caught)

    def _fit(self, phase: CodecTrainer | Trainer, report: Report, caught: Sequence[int]) -> None:
        train = self.config.train
        start, started = phase.samples_seen, time.perf_counter()
        begun, total = self.seconds, sum(phase.num_samples for phase in self.phases)
        log_every = max(phase.batch_size, phase.num_samples // ROWS)
        window = _Window()
        while phase.samples_seen < phase.num_samples:
            window.add(phase.step())
            seen, before = phase.samples_seen, phase.samples_seen - phase.batch_size
            done = seen >= phase.num_samples
            stop = False

            def due(every: int, seen: int = seen, before: int = before, done: bool = done) -> bool:
                return done or seen // every > before // every

            picture, checkpoint = due(train.sample_every), due(train.checkpoint_every)
            evaluation = phase is self.trainer and self.metric is not None and due(train.evaluate_every)
            if not (caught or due(log_every) or picture or checkpoint or evaluation):
                continue
            row, steps = window.mean(), window.steps
            window.clear()
            if not all(map(math.isfinite, row.values())):
                self._roll_back(phase)
                continue
            self.seconds = begun + time.perf_counter() - started
            row = {"samples_seen": self.samples_seen, "seconds": self.seconds} | row
            if self.metric and evaluation:
                row |= self.metric(self._sample)
                self._keep_best(row)
                if self.goal and (key := self.goal.key(row)):
                    self.say(f"{key} {row[key]:.3g}, and {train.until} is asked for")
                stop = self._reached([row])
            if picture or stop:
                row |= self._picture() if phase is self.trainer else self._picture_codec()
            self.log.add(row)
            if message := self.alarm.check(row, steps):
                self.say(message)
            rate = (seen - start) / (time.perf_counter() - started)
            report(Progress(self.samples_seen, total, rate, row))
            if caught or checkpoint or stop:
                self._save()
                if caught and not ((done or stop) and phase is self.phases[-1]):
                    raise Interrupted(caught[0])
            if stop:
                return

    def finish(self) -> Verdict:
        """The pictures, the plot and the verdict on the whole run."""
        self.modality.display.save_sheet(self._sample(GRID)[0], self.folder / "samples", self._columns())
        plot_training(self.log.rows, self.folder / "training.png")
        verdict = judge(self.log.rows, sum(phase.rollbacks for phase in self.phases))
        if missed := self._missed():
            verdict = dataclasses.replace(verdict, text=f"{verdict.text} {missed}")
        (self.folder / "verdict.txt").write_text(verdict.text + "\n", encoding="utf-8")
        return verdict

    # ---- starting and resuming ------------------------------------------------------------------------------------

    def _check_batches(self) -> None:
        """Refuses texts that are fewer than a batch. Of other data a few are a fair set: pictures are shifted and
        mirrored, windows overlap; a text comes again as it is, and twice in a batch it teaches nothing."""
        count = len(self.dataset)
        sizes = {"train": self.config.train.batch_size}
        if self.config.codec_samples:
            sizes["codec"] = self.config.codec.batch_size
        large = [f"--{section}.batch_size {size}" for section, size in sizes.items() if size > count]
        kind = self.modality.kind
        if large and not self.modality.repeatable:
            raise ConfigError(
                f"{self.dataset.name} holds {count} {kind} to train on, fewer than a batch of {' and '.join(large)}: "
                f"lower it to {count} or less, or add {kind}"
            )

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
        if not spec.like(self.spec):
            raise ConfigError(
                f"--out {self.folder} was trained on {spec.sample_shape} samples of {spec.num_classes} classes, and "
                f"{self.config.data.path} now has {self.spec.sample_shape} of {self.spec.num_classes}"
                + (" and another vocabulary" if spec.vocabulary != self.spec.vocabulary else "")
                + ": use another"
            )

    def _start_or_resume(self) -> None:
        latest = self.checkpoints.load_latest()
        if latest is not None and latest[1]["data"] != self.dataset.fingerprint:
            raise ConfigError(
                f"the data at {self.config.data.path} changed since {self.folder} began: use another --out"
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_config(self.folder)
        if latest is None:
            self.log.go_back_to(-1)
            self._save()
            return
        tensors, meta, problems = latest
        for problem in problems:
            self.say(f"skipped a checkpoint: {problem}")
        self._restore(tensors, meta)
        self.seconds = meta["seconds"]
        if "OMP_NUM_THREADS" not in os.environ:
            self.threads = min(meta.get("threads", self.threads), torch.get_num_threads())
        self.log.go_back_to(self.samples_seen)
        self.say(f"resumed {self.folder} at {self.samples_seen:,} samples, with its {self.threads} thread(s)")

    def _write_config(self, folder: Path) -> None:
        text = json.dumps(run_json(self.config, self.spec), indent=2)
        write_atomic(folder / "config.json", lambda temporary: temporary.write_text(text, encoding="utf-8"))

    def _restore(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self.codec.load_state_dict(under(tensors, "codec."))
        for phase in self.phases:
            phase.restore(tensors, meta if phase is self.trainer else meta["codec"])

    # ---- what is written while it runs ----------------------------------------------------------------------------

    def _save(self) -> None:
        tensors, meta = self._state()
        meta |= {"seconds": self.seconds, "threads": self.threads, "data": self.dataset.fingerprint}
        self.checkpoints.save(self.samples_seen, tensors, meta)
        self._write_model(self.folder, tensors)

    def _state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, meta = self.trainer.state()
        tensors |= flatten({"codec": self.codec}, {})
        for phase in self.phases[:-1]:
            codec, meta["codec"] = phase.state()
            tensors |= codec
        return tensors, meta

    def _write_model(self, folder: Path, tensors: dict[str, Tensor]) -> None:
        weights = {f"generator.{name}": value for name, value in under(tensors, "ema.").items()}
        weights |= {name: value for name, value in tensors.items() if name.startswith(("discriminator.", "codec."))}
        write_model(folder / "model.safetensors", weights, self.config, self.spec)

    def _keep_best(self, row: dict[str, float]) -> None:
        """Writes the model to `best/` where no earlier measurement was as good."""
        goal = self.goal or Goal.lowest(row)
        if goal is None or not goal.better(row, self._best()):
            return
        file = self.folder / "best" / "metrics.json"
        file.parent.mkdir(exist_ok=True)
        self._write_config(file.parent)
        self._write_model(file.parent, self._state()[0])
        facts = getattr(self.metric, "facts", {})  # in which features, of how many samples
        write_atomic(file, lambda temporary: temporary.write_text(json.dumps(row | facts), encoding="utf-8"))

    def _best(self) -> dict[str, Any]:
        """The best row so far and what was measured in, or nothing."""
        file = self.folder / "best" / "metrics.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    # ---- "until the samples pass for real" -------------------------------------------------------------------------

    def _check_goal(self) -> None:
        """Refuses an `until` that nothing measures before anything is trained."""
        if self.goal is None:
            return
        scores = {} if self.metric is None else self.metric(self._sample)
        if self.goal.key(scores) is None:
            there = [name for name in scores if not name.endswith("_floor")]
            raise ConfigError(
                f"--train.until {self.config.train.until}: this data is measured by {', '.join(there) or 'nothing'}"
            )

    def _reached(self, rows: Sequence[dict[str, float]]) -> bool:
        measured = [row for row in rows if self.goal and self.goal.key(row)]
        if not measured or self.goal is None or not self.goal.reached(measured[-1]):
            return False
        self.say(f"{self.config.train.until} is reached at {measured[-1]['samples_seen']:,} samples")
        return True

    def _missed(self) -> str:
        """What came nearest to the goal, where it was not reached."""
        best = self._best()
        key = self.goal.key(best) if self.goal else None
        if self.goal is None or key is None or self.goal.reached(best):  # a best by another goal may not have it
            return ""
        return (
            f"{self.config.train.until} was not reached: best was {best[key]:.3g} at {best['samples_seen']:,} samples, "
            f"kept in {self.folder / 'best'}."
        )

    def _roll_back(self, phase: CodecTrainer | Trainer) -> None:
        """Back to the last checkpoint, with smaller steps and other noise."""
        at, rollbacks = self.samples_seen, phase.rollbacks + 1
        lr = "--optim.lr" if phase is self.trainer else "--codec.lr"
        if rollbacks > MAX_ROLLBACKS:
            raise Diverged(
                f"the loss became non-finite at {at:,} samples, for the {rollbacks}th time: try half the {lr}, a "
                "larger --loss.r1 and --loss.r2, or --train.precision float32"
            )
        latest = self.checkpoints.load_latest()
        assert latest is not None, "a run saves its first state before its first step"
        tensors, meta, _ = latest
        self._restore(tensors, meta)
        phase.rollbacks = rollbacks
        self.log.go_back_to(self.samples_seen)
        self.say(
            f"the loss became non-finite at {at:,} samples: went back to {self.samples_seen:,} with half the learning "
            f"rate (roll-back {rollbacks} of {MAX_ROLLBACKS})"
        )

    def _picture(self) -> dict[str, float]:
        """Saves a grid of samples, always from the same z, and says how diverse they are."""
        samples, classes = self._sample(GRID)
        self._save_picture(samples, self._columns())
        if lines := self.modality.display.lines(samples):
            self.say(f"samples: {' | '.join(lines[:3])}")
        if classes is None:
            classes = torch.zeros(GRID, dtype=torch.long)
        made, real = self.modality.to_model(samples, self.spec), self._real_of(classes)
        made, real = (self.modality.comparable(part, self.spec) for part in (made, real))
        return {"diversity": diversity(made, real, classes)}

    @torch.no_grad()
    def _picture_codec(self) -> dict[str, float]:
        """Saves samples of the data, each beside what the codec makes of it; their mean squared difference."""
        shown = torch.linspace(0, len(self.dataset) - 1, CODEC_GRID).long()
        samples = self.dataset.batch(shown)[0]
        back = self.codec.expand(self.codec.compress(samples.to(self.trainer.device))).to(samples)
        pairs = torch.stack([samples, back], 1).flatten(0, 1)
        self._save_picture(self.modality.to_user(pairs, self.spec), 2)
        return {"codec/error": self.codec.error(samples, back)}

    def _save_picture(self, samples: Any, columns: int) -> None:
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        self.modality.display.save_sheet(samples, folder / f"{self.samples_seen:012d}", columns)

    def _real_of(self, classes: Tensor) -> Tensor:
        """Real samples of these classes, spread over the data set."""
        labels, chosen = self.dataset.labels(), torch.empty_like(classes)
        for label in classes.unique():
            places = (labels == label).nonzero().flatten()
            places = places if len(places) else torch.arange(len(labels))
            wanted = classes == label
            chosen[wanted] = places[torch.linspace(0, len(places) - 1, int(wanted.sum())).long()]
        return self.dataset.batch(chosen)[0]

    def _columns(self) -> int:
        """Classes side by side where they fit, so that a column is a class."""
        classes = self.spec.num_classes
        return classes * max(1, 10 // classes) if 2 <= classes <= 20 else 10

    def _sample(self, num: int) -> tuple[Any, Tensor | None]:
        """The averaged generator's samples for seed 0 and their classes, all classes in turn."""
        trainer = self.trainer
        networks = Networks.assembled(self.codec, trainer.ema.model, trainer.discriminator)
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
def _kept_threads() -> Iterator[None]:
    """The caller's number of threads is as it was after the block."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)


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
