"""The training loop of a run: steps, logging, observers, roll-backs, checkpoints.

The loop does not handle samples; an `Observer` draws or scores them.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from sparring.config import TrainConfig
from sparring.training.diagnostics import Alarm
from sparring.training.logs import MetricsLog, Row
from sparring.training.signals import Interrupted

MAX_ROLLBACKS = 3
ROWS = 400  # rows of metrics.jsonl for a whole run


class Diverged(RuntimeError):
    """The loss stayed non-finite after several roll-backs."""


@dataclass(frozen=True)
class Progress:
    """The state of a run after a logged row."""

    samples_seen: int
    num_samples: int
    samples_per_second: float
    row: Row


Report = Callable[[Progress], None]


class Steps(Protocol):
    """The interface of a trainer for the loop."""

    samples_seen: int
    num_samples: int
    batch_size: int
    rollbacks: int

    def step(self) -> dict[str, Tensor]:
        """Takes one step; returns values to log, on the device."""


@dataclass(frozen=True)
class Observer:
    """A function that gets the row every `every` samples and at the end of a phase, and returns entries to add."""

    every: int
    observe: Callable[[Row], Row]


@dataclass(frozen=True)
class Phase:
    """A trainer and its surroundings."""

    trainer: Steps
    lr: str
    """The setting of its learning rate, for messages."""
    observers: Sequence[Observer]
    prepare: Callable[[], None] = lambda: None
    """Called before the first step."""
    reached: Callable[[Sequence[Row]], bool] = lambda rows: False
    """Whether the last row reaches the goal, which ends the phase."""


class Loop:
    """Runs the phases of a run one after the other.

    `save` writes a checkpoint of all phases, and `restore` loads the last one.
    """

    def __init__(
        self,
        train: TrainConfig,
        phases: Sequence[Phase],
        metrics: MetricsLog,
        alarm: Alarm,
        *,
        save: Callable[[], None],
        restore: Callable[[], None],
        log: Callable[[str], None],
    ) -> None:
        self.train, self.phases, self.metrics, self.alarm = train, phases, metrics, alarm
        self.save, self.restore, self.log = save, restore, log
        self.seconds = 0.0

    @property
    def samples_seen(self) -> int:
        """The samples seen in all phases, which number rows, checkpoints and sample sheets."""
        return sum(phase.trainer.samples_seen for phase in self.phases)

    def fit(self, report: Report, caught: Sequence[int]) -> None:
        """Trains to the configured length; saves and raises `Interrupted` once a signal number is `caught`."""
        for phase in self.phases:
            if phase.trainer.samples_seen < phase.trainer.num_samples and not phase.reached(self.metrics.rows):
                phase.prepare()
                self._fit(phase, report, caught)

    def _fit(self, phase: Phase, report: Report, caught: Sequence[int]) -> None:
        trainer = phase.trainer
        start, started = trainer.samples_seen, time.perf_counter()
        begun, total = self.seconds, sum(each.trainer.num_samples for each in self.phases)
        log_every = max(trainer.batch_size, trainer.num_samples // ROWS)
        window = _Window()
        while trainer.samples_seen < trainer.num_samples:
            window.add(trainer.step())
            seen, before = trainer.samples_seen, trainer.samples_seen - trainer.batch_size
            done = seen >= trainer.num_samples

            def due(every: int, seen: int = seen, before: int = before, done: bool = done) -> bool:
                return done or seen // every > before // every

            checkpoint = due(self.train.checkpoint_every)
            if not (caught or due(log_every) or checkpoint or any(due(each.every) for each in phase.observers)):
                continue
            row, steps = window.mean(), window.steps
            window.clear()
            if not all(map(math.isfinite, row.values())):
                self._roll_back(phase)
                continue
            self.seconds = begun + time.perf_counter() - started
            row = {"samples_seen": self.samples_seen, "seconds": self.seconds} | row
            stop = False
            for observer in phase.observers:
                if due(observer.every) or stop:  # at a stop, the later observers see the final state too
                    row |= observer.observe(row)
                    stop = stop or phase.reached([row])
            self.metrics.add(row)
            if message := self.alarm.check(row, steps):
                self.log(message)
            rate = (seen - start) / (time.perf_counter() - started)
            report(Progress(self.samples_seen, total, rate, row))
            if caught or checkpoint or stop:
                self.save()
                if caught and not ((done or stop) and phase is self.phases[-1]):
                    raise Interrupted(caught[0])
            if stop:
                return

    def _roll_back(self, phase: Phase) -> None:
        """Restores the last checkpoint; the learning rate and the random numbers then change."""
        at, rollbacks = self.samples_seen, phase.trainer.rollbacks + 1
        if rollbacks > MAX_ROLLBACKS:
            raise Diverged(
                f"the loss became non-finite at {at:,} samples, for the {rollbacks}th time: try half the {phase.lr}, a "
                "larger --loss.r1 and --loss.r2, or --train.precision float32"
            )
        self.restore()
        phase.trainer.rollbacks = rollbacks
        self.metrics.go_back_to(self.samples_seen)
        self.log(
            f"the loss became non-finite at {at:,} samples: rolled back to {self.samples_seen:,} with half the "
            f"learning rate (roll-back {rollbacks} of {MAX_ROLLBACKS})"
        )


class _Window:
    """The mean of the values that steps log between two rows; reading it waits for the device."""

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
