"""The progress of a training run: one live line on a terminal, else a line every few seconds."""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sparring.metrics.scores import DISTANCES
from sparring.screen import without_controls
from sparring.training.run import Progress

PLAIN_SECONDS = 10


class TrainingProgress:
    """Shows `Progress` on stderr."""

    def __init__(self) -> None:
        self.console = Console(file=sys.stderr, highlight=False)
        self.live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self.shown = 0.0

    def __enter__(self) -> Self:
        if self.live:
            self.live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.live.stop()

    def log(self, line: str) -> None:
        self.console.print(without_controls(line), soft_wrap=True, markup=False)

    def report(self, progress: Progress) -> None:
        if self.live:
            self.live.update(Text(describe(progress)), refresh=True)
        elif time.monotonic() - self.shown > PLAIN_SECONDS or DISTANCES.keys() & progress.row.keys():
            self.shown = time.monotonic()
            self.log(describe(progress))


def describe(progress: Progress) -> str:
    """Samples seen, speed, time left, losses, logit gap, penalties and scores, on one line."""
    row, rate = progress.row, progress.samples_per_second
    left = max(0, progress.num_samples - progress.samples_seen) / rate if rate else 0
    parts = [
        f"{progress.samples_seen:,}/{progress.num_samples:,} samples",
        f"{rate:,.0f}/s",
        f"{int(left) // 60}:{int(left) % 60:02} left",
    ]
    if "loss/reconstruction" in row:
        parts.append(f"codec error {row['loss/reconstruction']:.4f}")
    if "loss/d" in row:
        parts += [
            f"loss D {row['loss/d']:.3f} G {row['loss/g']:.3f}",
            f"gap {row['logits/gap']:.2f}",
            f"R1 {row['loss/r1']:.3f} R2 {row['loss/r2']:.3f}",
        ]
    for name, label in DISTANCES.items():
        if name in row:
            parts.append(f"{label} {row[name]:.3g} (real {row[name + '_floor']:.3g})")
    if "recognised" in row:
        parts.append(f"recognised {row['recognised']:.1%}")
    if "modes" in row:
        parts.append(f"modes {row['modes']:.0f}, {row['share_within_3_sigma']:.1%} within 3 sigma")
    return "  ".join(parts)
