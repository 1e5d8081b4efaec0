"""Is the run healthy? The signs, and what to try, in plain words."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.scores import COPIED, FEW_TEXTS, UNCOVERED

Row = Mapping[str, float]

COLLAPSED = 0.5
"""Samples that are this much less diverse than the data count as collapsed."""
SCATTERED = 3.0
"""Samples that are this much more diverse are noise yet."""
ONE_SIDED = 0.6
"""So do digits of which more than this share are taken for one class."""
FEW_SYMBOLS = 0.8
"""So do texts whose symbols have less than this share of real ones' entropy."""
REPEATED = 0.25
"""By so much more than of real texts may say a symbol twice in a row. The names and captions of docs/results.md: 0.06
at most, and 0.95 or more of `FEW_SYMBOLS`."""
OVERPOWERED = 5.0
"""A mean D(x) - D(G(z)) above this leaves the generator little to learn from."""
DEAD_GAP, DEAD_SLOPE = 0.02, 1e-3
ALARM_SLOPE, ALARM_GAP, ALARM_LOSS, ALARM_STEPS = 1e-3, 5e-3, 2e-3, 200


class Alarm:
    """Tells while a run goes on, once each, that the discriminator has won, or is dead."""

    def __init__(self, idle_loss: float = math.log(2), *, slopes: bool = True) -> None:
        """`idle_loss` is the discriminator's loss where all logits are zero; `slopes` tells whether R1 is measured,
        which without penalties is logged as 0."""
        self.idle_loss, self.slopes = idle_loss, slopes
        self.idle_steps = 0
        self.rung: set[str] = set()

    def check(self, row: Row, steps: int) -> str | None:
        """A line to show, from a row that is the mean of `steps` steps."""
        gap, slope = row.get("logits/gap", math.nan), row.get("loss/r1", math.nan)
        if self.slopes and gap > OVERPOWERED and slope < ALARM_SLOPE and self._first("won"):
            return (
                f"alarm: the discriminator wins (gap {gap:.1f}) and is flat at the data (R1 {slope:.1e}): the "
                "generator learns little from it; try a larger --loss.r1 and --loss.r2, or --loss.instance_noise 0.2"
            )
        idle = abs(gap) < ALARM_GAP and abs(row.get("loss/d", math.nan) - self.idle_loss) < ALARM_LOSS
        self.idle_steps = self.idle_steps + steps if idle else 0
        if self.idle_steps >= ALARM_STEPS and self._first("dead"):
            return (
                f"alarm: the discriminator is dead (gap {gap:.4f}, loss {self.idle_loss:.3f}, for {self.idle_steps} "
                "steps): if the samples do not pass for real yet, try a smaller --loss.r1 and --loss.r2, or half the "
                "--optim.lr"
            )
        return None

    def _first(self, name: str) -> bool:
        first = name not in self.rung
        self.rung.add(name)
        return first


@dataclass(frozen=True)
class Verdict:
    """`status` is healthy, collapsed, scattered, copies, repeats, discriminator-too-strong, discriminator-idle,
    unstable or too-short."""

    status: str
    text: str


def diversity(samples: Tensor, reference: Tensor, classes: Tensor) -> float:
    """How far samples of a class lie from their mean, over the same for real ones of the same classes (B,).

    About 1 is right; 0 is one sample a class, repeated.
    """
    return float((_scatter(samples, classes) / _scatter(reference, classes).clamp_min(1e-12)).sqrt())


def _scatter(samples: Tensor, classes: Tensor) -> Tensor:
    if classes.unique(return_counts=True)[1].max() < 3:  # too few of a class to tell: all count as one
        classes = torch.zeros_like(classes)
    groups = [samples[classes == c].flatten(1).float() for c in classes.unique()]
    return torch.cat([(group - group.mean(0)).square().sum(1) for group in groups]).mean()


def judge(rows: Sequence[Row], rollbacks: int) -> Verdict:
    """The verdict on a run from its `metrics.jsonl` rows."""
    rows = [row for row in rows if "logits/gap" in row]  # not those of a codec's training
    recent = rows[-max(1, len(rows) // 5) :]
    gap, slope = _mean(recent, "logits/gap"), _mean(recent, "loss/r1")
    diverse = _last(rows, "diversity")
    frechet, floor = _last(rows, "frechet"), _last(rows, "frechet_floor")
    measured = f" The Fréchet distance is {frechet:.3g} (real data: {floor:.3g})." if not math.isnan(frechet) else ""
    if len(rows) < 10:
        return Verdict("too-short", "Too short a run to judge: train for more samples.")
    if rollbacks:
        return Verdict(
            "unstable",
            f"Unstable: the run became non-finite {rollbacks} time(s), went back and took smaller steps.{measured} "
            "Try half the --optim.lr, or a larger --loss.r1 and --loss.r2.",
        )
    if text := _judge_texts(rows):
        return text
    if collapse := _collapse(rows):
        return Verdict(
            "collapsed",
            f"Collapsed: {collapse}.{measured} Try a larger --loss.energy (0.3 is much), a larger --loss.r1 and "
            "--loss.r2, a larger --train.batch_size, or train for longer.",
        )
    if diverse > SCATTERED:
        return Verdict(
            "scattered",
            f"Not learnt: the samples are {diverse:,.1f} times as diverse as the data.{measured} Train for longer, or "
            "look whether the data varies at all.",
        )
    if gap > OVERPOWERED:
        return Verdict(
            "discriminator-too-strong",
            f"The discriminator is too strong: it tells real from fake by {gap:.1f} logits.{measured} Try "
            "--augment.probability 0.5, a larger --loss.r1 and --loss.r2, or more data.",
        )
    if gap < DEAD_GAP and slope < DEAD_SLOPE:
        return Verdict(
            "discriminator-idle",
            f"The discriminator gave up: it no longer tells real from fake (gap {gap:.3f}) and its slope is "
            f"{slope:.1e}.{measured} If the samples are not yet good, try a smaller --loss.r1 and --loss.r2, or "
            "half the --optim.lr.",
        )
    spread = "" if math.isnan(diverse) else f", the samples are {diverse:.2f} times as diverse as the data"
    return Verdict(
        "healthy",
        f"Healthy: the discriminator's gap is {gap:.2f} logits{spread}.{measured} For better samples train for longer "
        "(a larger --num-samples) or use a larger model.",
    )


def _collapse(rows: Sequence[Row]) -> str:
    """By what the samples vary too little, or nothing."""
    diverse, recall, share = (_last(rows, name) for name in ("diversity", "recall", "most_share"))
    if diverse < COLLAPSED:
        return f"the samples are {diverse:.2f} times as diverse as the data"
    if recall < UNCOVERED * _last(rows, "recall_floor"):
        return f"the samples cover {recall:.0%} of the data (real ones: {_last(rows, 'recall_floor'):.0%})"
    if share > ONE_SIDED:
        return f"{share:.0%} of the samples are taken for one class"
    return ""


def _judge_texts(rows: Sequence[Row]) -> Verdict | None:
    """What only texts suffer from, each against the same of real ones; None where nothing is wrong."""
    names = ("unique", "copied", "repeated", "entropy")
    unique, copied, repeated, entropy = (_last(rows, name) for name in names)
    real = {name: _last(rows, f"{name}_floor") for name in names}
    if unique < FEW_TEXTS * real["unique"]:
        collapse = f"only {unique:.0%} of the texts differ (real ones: {real['unique']:.0%})"
    elif entropy < FEW_SYMBOLS * real["entropy"]:
        collapse = f"few symbols come over and over (entropy {entropy:.1f}, of real ones {real['entropy']:.1f})"
    else:
        collapse = ""
    if collapse:
        return Verdict(
            "collapsed",
            f"Collapsed: {collapse}. Try a larger --loss.r1 and --loss.r2, a larger --model.adaln_gain, or train for "
            "longer.",
        )
    if copied > real["copied"] + COPIED:
        return Verdict(
            "copies",
            f"Copies: {copied:.0%} of the texts are word for word those of the data (real ones: {real['copied']:.0%}). "
            "Try more data, a larger --codec.noise with --loss.instance_noise and --loss.final_noise alike, or a "
            "shorter run.",
        )
    if repeated > real["repeated"] + REPEATED:
        return Verdict(
            "repeats",
            f"Repeats itself: {repeated:.0%} of the texts say a symbol twice in a row (real ones: "
            f"{real['repeated']:.0%}). Try a longer --codec.num_samples, more --codec.latents, or less --codec.noise.",
        )
    return None


def _values(rows: Sequence[Row], name: str) -> list[float]:
    return [row[name] for row in rows if name in row]


def _mean(rows: Sequence[Row], name: str) -> float:
    values = _values(rows, name)
    return sum(values) / len(values) if values else math.nan


def _last(rows: Sequence[Row], name: str) -> float:
    values = _values(rows, name)
    return values[-1] if values else math.nan
