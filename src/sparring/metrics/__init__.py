"""What can be measured of samples. A data set that knows how it is scored says so by what it holds."""

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from sparring.data.dataset import Dataset

Sampler = Callable[[int], tuple[Tensor, Tensor | None]]
"""n -> n samples and the classes they were made for, or None."""


class Metric(Protocol):
    """Scores samples against a data set; the names are those of `metrics.jsonl`."""

    def __call__(self, sample: Sampler) -> dict[str, float]: ...


def metric_for(dataset: Dataset) -> Metric | None:
    """The metric of a built-in set; None where there is none yet."""
    if dataset.name == "digits":
        from sparring.metrics.digits import DigitMetric

        return DigitMetric(dataset)
    if dataset.name in ("rings", "grid"):
        from sparring.metrics.modes import ModeMetric

        return ModeMetric(dataset)
    return None
