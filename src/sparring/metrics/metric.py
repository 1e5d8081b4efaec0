"""The interface of a metric, and the registry of extra metrics."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor

from sparring.data.dataset import DataError, Dataset
from sparring.metrics.scores import Score, register_score

Sampler = Callable[[int], tuple[Any, Tensor | None]]
"""Maps n to n samples in the user's form (as `GAN.sample` returns them) and their classes, or None."""


class Metric(ABC):
    """Scores samples against a data set; the names of scores are those in `metrics.jsonl`."""

    count: int
    """The number of samples that are drawn."""
    facts: Mapping[str, Any] = MappingProxyType({})
    """Facts about the scores, such as the feature extractor and the number of samples."""

    @abstractmethod
    def __call__(self, sample: Sampler) -> dict[str, float]:
        """Returns scores, each with the score of real samples (`_floor`) if there is one."""


class CombinedMetric(Metric):
    """Several metrics as one."""

    def __init__(self, parts: Sequence[Metric]) -> None:
        self.parts = parts
        self.count = max(part.count for part in parts)
        self.facts = {name: value for part in parts for name, value in part.facts.items()}

    @classmethod
    def of(cls, parts: Sequence[Metric]) -> Metric | None:
        """Combines the parts; None if there are none."""
        return cls(parts) if len(parts) > 1 else next(iter(parts), None)

    def __call__(self, sample: Sampler) -> dict[str, float]:
        drawn = cache(sample)  # parts that want as many get the same ones
        return {name: value for part in self.parts for name, value in part(drawn).items()}


class Extra(ABC):
    """A metric that is computed in addition to a modality's own metrics."""

    name: ClassVar[str]
    """The name that `--metrics` takes."""
    scores: ClassVar[tuple[Score, ...]] = ()
    """The scores that it returns, for reports."""

    @abstractmethod
    def applies(self, dataset: Dataset) -> bool:
        """Whether the metric can score samples of the data set."""

    @abstractmethod
    def make(self, dataset: Dataset, count: int | None) -> Metric:
        """Makes the metric for `count` samples; None: for its default number."""


EXTRAS: dict[str, Extra] = {}


def register_metric(extra: Extra) -> None:
    """Adds a metric to all training runs and evaluations to which it applies."""
    EXTRAS[extra.name] = extra
    for score in extra.scores:
        register_score(score)


def extras_for(dataset: Dataset) -> list[Extra]:
    return [extra for extra in EXTRAS.values() if extra.applies(dataset)]


def chosen_of(
    known: Sequence[str],
    wanted: Collection[str],
    dataset: Dataset,
    other_names: Mapping[str, str] = MappingProxyType({}),
) -> tuple[str, ...]:
    """The wanted metrics in the order of `known`; `other_names` are aliases. Raises `DataError` for an unknown name."""
    wanted = [other_names.get(name, name) for name in wanted]
    if unknown := [name for name in wanted if name not in known]:
        there = [*known, *(extra.name for extra in extras_for(dataset))]
        raise DataError(f"there is no metric {unknown[0]} here: choose among {', '.join(there)}")
    return tuple(name for name in known if name in wanted)
