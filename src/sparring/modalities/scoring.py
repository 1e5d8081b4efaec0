"""How samples of a modality are scored against data. The metrics themselves are in `sparring.metrics`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparring.data.dataset import Dataset
from sparring.metrics.metric import Metric, Sampler

SEARCHED = 5000
"""Real samples of a set among which the nearest is looked for, unless features are quick to have."""

Device = torch.device | str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """How samples are to be evaluated."""

    num: int = 10_000
    """Samples that are compared, as far as there are as many real ones."""
    seed: int = 0
    repeats: int | None = None
    """Times that networks are trained to score; for what `Scoring.repeats` says."""
    reference: Sequence[str] | None = None
    """A person's samples to compare with, in place of those held out."""
    extractor: str | None = None
    """The network whose features are compared; None: the modality's default."""
    metrics: Collection[str] | None = None
    """Only these; None: all that can be measured."""
    trained_on: bool = True
    """Whether the data is what the samples' maker learnt from: only then copies are looked for."""
    device: Device = "cpu"
    """On which extractors work."""
    report: Callable[[str], None]


@dataclass(frozen=True)
class Features:
    """Numbers in which samples are compared with one another: those of real samples, (M, D), at these places of the
    set, and what gives those of samples as `GAN.sample` does."""

    name: str
    places: Tensor
    real: Tensor
    of: Callable[[Any], Tensor]


class Scoring(ABC):
    """Which scores there are for samples of a modality, while training and in an evaluation."""

    extractor_in_training: ClassVar[bool] = False
    """Whether `metric` takes an extractor."""
    extractor: ClassVar[bool] = False
    """Whether `evaluate` takes one."""
    repeats: ClassVar[bool] = False
    """Whether scores come from networks that are trained several times."""
    searches_copies: ClassVar[bool] = False
    """Whether `near_copies` are looked for in what was trained on."""

    @abstractmethod
    def metric(
        self, dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
    ) -> Metric | None:
        """What a run measures while it trains, `also` one more that takes its time; None where there is nothing."""

    @abstractmethod
    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        """Scores, each beside what real samples get (`_floor`), and facts about them, the "count" of samples among
        these. Raises `DataError` for a metric that is named and not known or cannot be measured."""

    @abstractmethod
    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        """Features of the set's samples, or of a large set's the most that are looked at."""

    def against(self, dataset: Dataset, reference: Dataset) -> Dataset:
        """A run's data set so that samples are compared with another one."""
        dataset.held_out = reference
        return dataset


def drawn_features(
    dataset: Dataset, name: str, of: Callable[[Any], Tensor], to_user: Callable[[Tensor], Any]
) -> Features:
    """Of `SEARCHED` samples of the set, drawn at random; `to_user` makes them a person's."""
    places = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:SEARCHED]
    real = torch.cat([of(to_user(dataset.batch(part)[0])) for part in places.split(250)])
    return Features(name, places, real, of)
