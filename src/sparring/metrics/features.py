"""Numbers in which samples of any kind can be compared with one another: which is near which."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparring.data.dataset import Dataset
from sparring.data.spec import DataSpec
from sparring.metrics import are_clips, are_pictures

SEARCHED = 5000
"""Real samples of a set among which the nearest is looked for; of pictures see `real_pictures`."""


@dataclass(frozen=True)
class Searched:
    """Real samples to look for the nearest in: their places in the set and their features (M, D), and what gives those
    of samples as `GAN.sample` does."""

    name: str
    """Of the features."""
    places: Tensor
    features: Tensor
    look: Callable[[Any], Tensor]


def searched_in(dataset: Dataset, extractor: str | None = None, device: torch.device | str = "cpu") -> Searched:
    """All of the set's samples, or of a large set the most that are looked at; the extractor of pictures looks on the
    `device`."""
    if are_pictures(dataset):
        from sparring.metrics import real_pictures
        from sparring.metrics.extractors import make_extractor
        from sparring.metrics.images import default_extractor

        pictures = make_extractor(extractor or default_extractor(dataset), dataset.sample_shape, device)
        places = real_pictures.searched(pictures, dataset)
        known = real_pictures.features_of(pictures, dataset, places)
        return Searched(pictures.name, places, known, lambda samples: pictures(samples)[0])
    name, look = _features_for(dataset)
    places = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(0))[:SEARCHED]
    finish = DataSpec.of(dataset).finish
    known = torch.cat([look(finish(dataset.batch(part)[0])) for part in places.split(250)])
    return Searched(name, places, known, look)


def _features_for(dataset: Dataset) -> tuple[str, Callable[[Any], Tensor]]:
    spec = DataSpec.of(dataset)
    if dataset.vocabulary is not None:
        from sparring.metrics.texts import ENCODER, MOST, Encoder, spread_over

        encoder = Encoder(spread_over(dataset, MOST))
        return ENCODER, lambda texts: encoder(spec.stored(texts))
    if are_clips(dataset):
        from sparring.metrics.clip_features import NAME, ClipFeatures

        clips = ClipFeatures(*dataset.sample_shape[:2])
        return NAME, lambda samples: clips(samples)
    return "the numbers themselves", lambda samples: spec.stored(samples).flatten(1).nan_to_num(0)
