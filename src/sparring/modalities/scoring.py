"""Scores samples against data: the part that all modalities share. The metrics are in `sparring.metrics`."""

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
"""Real samples among which the nearest is looked for."""

Device = torch.device | str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Options of an evaluation."""

    num: int = 10_000
    """Samples that are compared, fewer where there are fewer real ones."""
    seed: int = 0
    repeats: int | None = None
    """Trainings of networks that score, where `Scoring.repeats`."""
    reference: Sequence[str] | None = None
    """A user's samples to compare with, in place of those held out."""
    extractor: str | None = None
    """The network whose features are compared; None: the modality's default."""
    metrics: Collection[str] | None = None
    """Only these; None: all that can be measured."""
    trained_on: bool = True
    """Whether the generator learnt from the data: only then copies are looked for."""
    device: Device = "cpu"
    """On which extractors work."""
    report: Callable[[str], None]


@dataclass(frozen=True)
class Features:
    """Features in which samples are compared: `real` (M, D), those of the samples at `places` of the data set, and
    `of`, which computes those of a user's samples."""

    name: str
    places: Tensor
    real: Tensor
    of: Callable[[Any], Tensor]


class Scoring(ABC):
    """Chooses the scores of a modality, while training and in an evaluation."""

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
        """The metric of a training run, with `also` one more that takes its time; None where nothing is measured."""

    @abstractmethod
    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        """Scores, each beside its `_floor`, that of real samples, and facts such as the "count" of samples. Raises
        `DataError` for a named metric that is not known or cannot be measured."""

    @abstractmethod
    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        """Features of the data set; a large one is searched in part."""

    def against(self, dataset: Dataset, reference: Dataset) -> Dataset:
        """The data set of a run whose samples are compared with another `reference`."""
        dataset.held_out = reference
        return dataset


def drawn_features(
    dataset: Dataset, name: str, of: Callable[[Any], Tensor], to_user: Callable[[Tensor], Any]
) -> Features:
    """Features of `SEARCHED` random samples of the data set, brought into the user's form by `to_user`."""
    places = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:SEARCHED]
    real = torch.cat([of(to_user(dataset.batch(part)[0])) for part in places.split(250)])
    return Features(name, places, real, of)
