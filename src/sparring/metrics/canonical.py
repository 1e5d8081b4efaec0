"""A canonical order of samples, by content. With it, a random draw does not depend on the order of files."""

import torch
from torch import Tensor

from sparring.data.dataset import Dataset

MOST_READ = 50_000
"""Larger sets are subsampled, as every sample must be read."""


def ordered(dataset: Dataset, most: int = MOST_READ) -> Tensor:
    """The indices of a data set's samples in canonical order; `most` random ones of a larger set."""
    indices = torch.arange(len(dataset))
    if len(indices) > most:
        indices = torch.randperm(len(indices), generator=torch.Generator().manual_seed(0))[:most]
    return indices[torch.cat([keys(dataset.batch(part)[0]) for part in indices.split(250)]).argsort(stable=True)]


def stratified(dataset: Dataset, indices: Tensor, count: int) -> Tensor:
    """Chooses `count` of the indices, each class in proportion."""
    by_class = indices[dataset.labels()[indices].argsort(stable=True)]
    return by_class[torch.linspace(0, len(indices) - 1, count).long()]


def canonical(samples: Tensor) -> Tensor:
    """The permutation (N,) that puts samples (N, ...) in canonical order."""
    return keys(samples).argsort(stable=True)


def keys(samples: Tensor) -> Tensor:
    """The sort keys (N,): random projections, which rounding of a sample hardly changes."""
    flat = samples.detach().flatten(1).cpu()
    weights = torch.randn(flat.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # Row by row: the rounding of a matrix product depends on the number of rows.
    return torch.stack([row.double().nan_to_num() @ weights for row in flat])
