"""Cached features of real images, and the choice of images that are searched for copies."""

from functools import cache

import torch
from torch import Tensor

from sparring.data.dataset import Dataset, digest
from sparring.metrics.cache import cached
from sparring.metrics.extractors import BATCH, Extractor

SEARCHED = 200_000
SEARCHED_SLOWLY = 10_000
"""For a network that needs 0.1 seconds for an image on a CPU core."""


def features_of(extractor: Extractor, dataset: Dataset, indices: Tensor) -> Tensor:
    """The features (N, D) of the images with these indices, read batch by batch."""
    return _extracted(extractor, dataset, indices, logits=False)[0]


def logits_of(extractor: Extractor, dataset: Dataset, indices: Tensor) -> Tensor:
    """The logits (N, K) of an extractor with classes."""
    return _extracted(extractor, dataset, indices, logits=True)[1]


def searched(extractor: Extractor, dataset: Dataset) -> Tensor:
    """The indices of the images to search: all, or a random choice that is the same at each call, so it is cached."""
    most = SEARCHED if extractor.quick else SEARCHED_SLOWLY
    if len(dataset) <= most:
        return torch.arange(len(dataset))
    return torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:most]


def _extracted(extractor: Extractor, dataset: Dataset, indices: Tensor, *, logits: bool) -> tuple[Tensor, Tensor]:
    parts = indices.split(BATCH)
    # The images' content: a set's fingerprint may depend only on the names and sizes of files.
    contents = digest(*(digest(dataset.batch(part)[0]) for part in parts))

    @cache
    def extract() -> tuple[Tensor, Tensor]:
        found = [extractor(dataset.batch(part)[0]) for part in parts]
        classes = [few for _, few in found if few is not None]
        return torch.cat([features for features, _ in found]), torch.cat(classes) if classes else torch.empty(0)

    features = cached((contents, extractor.key), lambda: extract()[0])
    return features, cached((contents, extractor.key, "logits"), lambda: extract()[1]) if logits else torch.empty(0)
