"""Diagnosis of a training run: alarms during the run, and a verdict with advice at its end."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparring.metrics.scores import COPIED, FEW_TEXTS, UNCOVERED

Row = Mapping[str, float]

COLLAPSED = 0.5
"""A relative diversity below this counts as mode collapse."""
SCATTERED = 3.0
"""A relative diversity above this means that samples are still noise."""
ONE_SIDED = 0.6
"""A share of one class among digits above this counts as mode collapse."""
FEW_SYMBOLS = 0.8
"""An entropy of symbols below this share of real texts' counts as mode collapse."""
REPEATED = 0.25
"""The allowed excess of texts with a symbol twice in a row over real texts. For the names and captions of
docs/results.md the excess is at most 0.06, and the entropy at least 0.95 of real texts'."""
OVERPOWERED = 5.0
"""A mean D(x) - D(G(z)) above this leaves the generator almost without a gradient."""
DEAD_GAP, DEAD_R1 = 0.02, 1e-3
ALARM_R1, ALARM_GAP, ALARM_LOSS, ALARM_STEPS = 1e-3, 5e-3, 2e-3, 200


class Alarm:
    """Warns during a run, once each, that the discriminator has won or is dead."""

    def __init__(self, idle_loss: float = math.log(2), *, penalized: bool = True) -> None:
        """`idle_loss` is the discriminator's loss if all logits are zero. R1 is computed only if `penalized`, else
        it is logged as 0."""
        self.idle_loss, self.penalized = idle_loss, penalized
        self.idle_steps = 0
        self.raised: set[str] = set()

    def check(self, row: Row, steps: int) -> str | None:
        """Returns a message, or None, for a row that is the mean of `steps` steps."""
        gap, r1 = row.get("logits/gap", math.nan), row.get("loss/r1", math.nan)
        if self.penalized and gap > OVERPOWERED and r1 < ALARM_R1 and self._first("won"):
            return (
                f"alarm: the discriminator wins (gap {gap:.1f}) and its gradient at the data vanishes (R1 {r1:.1e}), "
                "so the generator learns little from it; try a larger --loss.r1 and --loss.r2, or "
                "--loss.instance_noise 0.2"
            )
        idle = abs(gap) < ALARM_GAP and abs(row.get("loss/d", math.nan) - self.idle_loss) < ALARM_LOSS
        self.idle_steps = self.idle_steps + steps if idle else 0
        if self.idle_steps >= ALARM_STEPS and self._first("dead"):
            return (
                f"alarm: the discriminator is dead (gap {gap:.4f}, loss {self.idle_loss:.3f}, for {self.idle_steps} "
                "steps): if the samples are not yet good, try a smaller --loss.r1 and --loss.r2, or half the "
                "--optim.lr"
            )
        return None

    def _first(self, name: str) -> bool:
        first = name not in self.raised
        self.raised.add(name)
        return first


@dataclass(frozen=True)
class Verdict:
    """`status` is healthy, collapsed, scattered, copies, repeats, discriminator-too-strong, discriminator-idle,
    unstable or too-short."""

    status: str
    text: str


def diversity(samples: Tensor, reference: Tensor, classes: Tensor) -> float:
    """The standard deviation of samples within a class, relative to that of real samples of the same `classes` (B,).

    1 is as diverse as the data; 0 is one repeated sample for each class.
    """
    return float((_variance(samples, classes) / _variance(reference, classes).clamp_min(1e-12)).sqrt())


def _variance(samples: Tensor, classes: Tensor) -> Tensor:
    if classes.unique(return_counts=True)[1].max() < 3:  # too few of each class: all samples count as one class
        classes = torch.zeros_like(classes)
    groups = [samples[classes == c].flatten(1).float() for c in classes.unique()]
    return torch.cat([(group - group.mean(0)).square().sum(1) for group in groups]).mean()


def verdict_on(rows: Sequence[Row], rollbacks: int) -> Verdict:
    """The verdict on a run with these rows of `metrics.jsonl`."""
    rows = [row for row in rows if "logits/gap" in row]  # without the codec's training
    recent = rows[-max(1, len(rows) // 5) :]
    gap, r1 = _mean(recent, "logits/gap"), _mean(recent, "loss/r1")
    relative = _last(rows, "diversity")
    frechet, floor = _last(rows, "frechet"), _last(rows, "frechet_floor")
    measured = f" The Fréchet distance is {frechet:.3g} (real data: {floor:.3g})." if not math.isnan(frechet) else ""
    if len(rows) < 10:
        return Verdict("too-short", "The run is too short for a verdict: train for more samples.")
    if rollbacks:
        return Verdict(
            "unstable",
            f"Unstable: the loss became non-finite {rollbacks} time(s), and the run rolled back with half the learning "
            f"rate.{measured} Try half the --optim.lr, or a larger --loss.r1 and --loss.r2.",
        )
    if found := _verdict_on_texts(rows):
        return found
    if collapse := _collapse(rows):
        return Verdict(
            "collapsed",
            f"Collapsed: {collapse}.{measured} Try a larger --loss.energy (0.3 is much), a larger --loss.r1 and "
            "--loss.r2, a larger --train.batch_size, or train for longer.",
        )
    if relative > SCATTERED:
        return Verdict(
            "scattered",
            f"Not learnt: the samples are {relative:,.1f} times as diverse as the data.{measured} Train for longer, or "
            "check whether the data vary at all.",
        )
    if gap > OVERPOWERED:
        return Verdict(
            "discriminator-too-strong",
            f"The discriminator is too strong: its logits of real and fake samples differ by {gap:.1f}.{measured} Try "
            "--augment.probability 0.5, a larger --loss.r1 and --loss.r2, or more data.",
        )
    if gap < DEAD_GAP and r1 < DEAD_R1:
        return Verdict(
            "discriminator-idle",
            f"The discriminator is idle: it no longer tells real from fake (gap {gap:.3f}) and its gradient vanishes "
            f"(R1 {r1:.1e}).{measured} If the samples are not yet good, try a smaller --loss.r1 and --loss.r2, or "
            "half the --optim.lr.",
        )
    spread = "" if math.isnan(relative) else f", the samples are {relative:.2f} times as diverse as the data"
    return Verdict(
        "healthy",
        f"Healthy: the discriminator's gap is {gap:.2f} logits{spread}.{measured} For better samples, train for longer "
        "(a larger --num-samples) or use a larger model.",
    )


def _collapse(rows: Sequence[Row]) -> str:
    """The sign of mode collapse, in words, or an empty string."""
    relative, recall, share = (_last(rows, name) for name in ("diversity", "recall", "most_share"))
    if relative < COLLAPSED:
        return f"the samples are {relative:.2f} times as diverse as the data"
    if recall < UNCOVERED * _last(rows, "recall_floor"):
        return f"the samples cover {recall:.0%} of the data (real data: {_last(rows, 'recall_floor'):.0%})"
    if share > ONE_SIDED:
        return f"{share:.0%} of the samples are classified as one class"
    return ""


def _verdict_on_texts(rows: Sequence[Row]) -> Verdict | None:
    """A verdict on failures that only texts have, relative to real texts; None if there are none."""
    names = ("unique", "copied", "repeated", "entropy")
    unique, copied, repeated, entropy = (_last(rows, name) for name in names)
    real = {name: _last(rows, f"{name}_floor") for name in names}
    if unique < FEW_TEXTS * real["unique"]:
        collapse = f"only {unique:.0%} of the texts differ (real data: {real['unique']:.0%})"
    elif entropy < FEW_SYMBOLS * real["entropy"]:
        collapse = f"the texts use few symbols (entropy {entropy:.1f}, real data: {real['entropy']:.1f})"
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
            f"Copies: {copied:.0%} of the texts equal a training text word for word (real data: {real['copied']:.0%}). "
            "Try more data, a larger --codec.noise with --loss.instance_noise and --loss.final_noise alike, or a "
            "shorter run.",
        )
    if repeated > real["repeated"] + REPEATED:
        return Verdict(
            "repeats",
            f"Repeats: {repeated:.0%} of the texts have a symbol twice in a row (real data: "
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
