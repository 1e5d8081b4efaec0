"""Features of real pictures, kept from one evaluation to the next; among which of them copies are looked for."""

from functools import cache

import torch
from torch import Tensor

from sparring.data.dataset import Dataset, digest
from sparring.metrics.cache import cached
from sparring.metrics.extractors import BATCH, Extractor

SEARCHED = 200_000
SEARCHED_SLOWLY = 10_000
"""With a network that takes a CPU's core 0.1 seconds a picture."""


def features_of(extractor: Extractor, dataset: Dataset, places: Tensor) -> Tensor:
    """(N, D) of the pictures at these places, never more of them in memory than a batch."""
    return _seen(extractor, dataset, places, logits=False)[0]


def logits_of(extractor: Extractor, dataset: Dataset, places: Tensor) -> Tensor:
    """(N, K) of an extractor that has classes."""
    return _seen(extractor, dataset, places, logits=True)[1]


def searched(extractor: Extractor, dataset: Dataset) -> Tensor:
    """The places of all pictures, or of the most that are looked at: the same whoever asks, so they are cached once."""
    most = SEARCHED if extractor.quick else SEARCHED_SLOWLY
    if len(dataset) <= most:
        return torch.arange(len(dataset))
    return torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:most]


def _seen(extractor: Extractor, dataset: Dataset, places: Tensor, *, logits: bool) -> tuple[Tensor, Tensor]:
    parts = places.split(BATCH)
    # By the pictures themselves: a set's fingerprint may know no more than its files' names and sizes.
    contents = digest(*(digest(dataset.batch(part)[0]) for part in parts))

    @cache
    def look() -> tuple[Tensor, Tensor]:
        found = [extractor(dataset.batch(part)[0]) for part in parts]
        classes = [few for _, few in found if few is not None]
        return torch.cat([features for features, _ in found]), torch.cat(classes) if classes else torch.empty(0)

    features = cached((contents, extractor.key), lambda: look()[0])
    return features, cached((contents, extractor.key, "logits"), lambda: look()[1]) if logits else torch.empty(0)
