"""An order of samples that they alone decide: what is drawn from them at random does not depend on how they came."""

import torch
from torch import Tensor

from sparring.data.dataset import Dataset

MOST_READ = 50_000
"""Of larger sets only some samples are read."""


def ordered(dataset: Dataset, most: int = MOST_READ) -> Tensor:
    """The places of a set's samples in that order; of more than `most`, those of some, drawn by where they stand."""
    places = torch.arange(len(dataset))
    if len(places) > most:
        places = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[:most]
    return places[torch.cat([keys(dataset.batch(part)[0]) for part in places.split(250)]).argsort(stable=True)]


def spread(dataset: Dataset, places: Tensor, count: int) -> Tensor:
    """As many of these places of a set, class by class: all have their share."""
    by_class = places[dataset.labels()[places].argsort(stable=True)]
    return by_class[torch.linspace(0, len(places) - 1, count).long()]


def canonical(samples: Tensor) -> Tensor:
    """The places (N,) of samples (N, ...) in that order."""
    return keys(samples).argsort(stable=True)


def keys(samples: Tensor) -> Tensor:
    """What they are put in order by, (N,): numbers that hardly change where a sample differs in its last bits."""
    flat = samples.detach().flatten(1).cpu()
    weights = torch.randn(flat.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # Row by row: a product of matrices rounds by how many rows there are.
    return torch.stack([row.double().nan_to_num() @ weights for row in flat])
