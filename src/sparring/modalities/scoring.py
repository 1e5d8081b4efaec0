"""The interface by which a modality scores samples. The metrics themselves are in `sparring.metrics`."""

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
"""The number of real samples, drawn at random, that `sampled_features` embeds."""

Device = torch.device | str


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The settings of an evaluation."""

    num: int = 10_000
    """The number of samples to compare, at most the number of real samples."""
    seed: int = 0
    repeats: int | None = None
    """How often the scoring networks are trained; only if `Scoring.repeats`."""
    reference: Sequence[str] | None = None
    """Real samples in the user's form, to compare with instead of the held-out ones."""
    extractor: str | None = None
    """The feature extractor; None: the modality's default."""
    metrics: Collection[str] | None = None
    """The metrics to compute; None: all that apply."""
    trained_on: bool = True
    """Whether the generator was trained on this data; otherwise no copies are searched for."""
    device: Device = "cpu"
    """The device of the feature extractor."""
    report: Callable[[str], None]


@dataclass(frozen=True)
class Features:
    """The features of real samples, and the function that embeds generated ones."""

    name: str
    indices: Tensor
    """The real samples' indices in the data set, (M,)."""
    real: Tensor
    """Their features, (M, D)."""
    embed: Callable[[Any], Tensor]
    """Maps samples in the user's form to features (N, D)."""


class Scoring(ABC):
    """Chooses the scores of a modality, during training and in evaluations."""

    extractor_in_training: ClassVar[bool] = False
    """Whether `metric` takes an extractor."""
    extractor: ClassVar[bool] = False
    """Whether `evaluate` takes an extractor."""
    repeats: ClassVar[bool] = False
    """Whether `evaluate` trains scoring networks several times."""
    searches_copies: ClassVar[bool] = False
    """Whether `evaluate` searches the training data for copies (`near_copies`)."""

    @abstractmethod
    def metric(
        self, dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
    ) -> Metric | None:
        """The metric of a training run, with one more, slower metric `also`; None if nothing can be scored."""

    @abstractmethod
    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        """Returns scores, each with the score of real samples (`_floor`), and facts such as the "count" of samples.
        Raises `DataError` if a named metric is unknown or cannot be computed."""

    @abstractmethod
    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        """The features of the set's samples, or of a random part of a large set."""

    def with_reference(self, dataset: Dataset, reference: Dataset) -> Dataset:
        """A run's data set, changed so that samples are compared with the reference."""
        dataset.held_out = reference
        return dataset


def sampled_features(
    dataset: Dataset, name: str, embed: Callable[[Any], Tensor], to_user: Callable[[Tensor], Any]
) -> Features:
    """The features of at most `SEARCHED` random samples of the set, converted by `to_user` and embedded by `embed`."""
    indices = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:SEARCHED]
    real = torch.cat([embed(to_user(dataset.batch(part)[0])) for part in indices.split(250)])
    return Features(name, indices, real, embed)
