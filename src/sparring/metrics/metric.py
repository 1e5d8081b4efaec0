"""The type of all metrics, and a registry of extra ones that plug-ins add."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any, ClassVar

from torch import Tensor

from sparring.data.dataset import DataError, Dataset
from sparring.metrics.scores import Score, register_score

Sampler = Callable[[int], tuple[Any, Tensor | None]]
"""n -> n samples as `GAN.sample` gives them, and the classes they were made for, or None."""


class Metric(ABC):
    """Scores samples against a data set; the names are those of `metrics.jsonl`."""

    count: int
    """Samples that are drawn."""
    facts: Mapping[str, Any] = MappingProxyType({})
    """The features that are compared, the number of samples and the like."""

    @abstractmethod
    def __call__(self, sample: Sampler) -> dict[str, float]:
        """Scores, each beside what real samples get (`_floor`) where that can be said."""


class Together(Metric):
    """Several metrics of the same samples."""

    def __init__(self, parts: Sequence[Metric]) -> None:
        self.parts = parts
        self.count = max(part.count for part in parts)
        self.facts = {name: value for part in parts for name, value in part.facts.items()}

    @classmethod
    def of(cls, parts: Sequence[Metric]) -> Metric | None:
        """All parts as one; None where there is none."""
        return cls(parts) if len(parts) > 1 else next(iter(parts), None)

    def __call__(self, sample: Sampler) -> dict[str, float]:
        drawn = cache(sample)  # parts that want as many get the same ones
        return {name: value for part in self.parts for name, value in part(drawn).items()}


class Extra(ABC):
    """A metric of a plug-in, measured beside a modality's own wherever it applies."""

    name: ClassVar[str]
    """As `--metrics` calls it."""
    scores: ClassVar[tuple[Score, ...]] = ()
    """The scores it gives, for reports."""

    @abstractmethod
    def applies(self, dataset: Dataset) -> bool:
        """Whether samples of the set can be measured so."""

    @abstractmethod
    def make(self, dataset: Dataset, count: int | None) -> Metric:
        """The metric on `count` samples; None: on a number of its own choice."""


EXTRAS: dict[str, Extra] = {}


def register_metric(extra: Extra) -> None:
    """Has the metric measured wherever it applies, in training and in evaluations."""
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
    """The `known` metrics among the wanted, or what these are else called; raises `DataError` for one that is not
    known."""
    wanted = [other_names.get(name, name) for name in wanted]
    if unknown := [name for name in wanted if name not in known]:
        there = [*known, *(extra.name for extra in extras_for(dataset))]
        raise DataError(f"there is no metric {unknown[0]} here: choose among {', '.join(there)}")
    return tuple(name for name in known if name in wanted)
