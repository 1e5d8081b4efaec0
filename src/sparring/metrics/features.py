"""Numbers in which samples of any kind can be compared with one another: which is near which."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from sparring.data.dataset import Dataset
from sparring.models.networks import DataSpec


def features_for(dataset: Dataset, extractor: str | None = None) -> tuple[str, Callable[[Any], Tensor]]:
    """What the features are called, and a function from N samples, as `GAN.sample` gives them, to features (N, D)."""
    spec = DataSpec.of(dataset)
    if dataset.vocabulary is not None:
        from sparring.metrics.texts import ENCODER, MOST, Encoder, spread_over

        encoder = Encoder(spread_over(dataset, MOST))
        return ENCODER, lambda texts: encoder(spec.stored(texts))
    if len(dataset.sample_shape) == 4:
        from sparring.metrics.clip_features import NAME, ClipFeatures

        clips = ClipFeatures(*dataset.sample_shape[:2])
        return NAME, lambda samples: clips(samples)
    if dataset.channels is None and dataset.sample_shape != (2, 1, 1):
        from sparring.metrics.extractors import make_extractor
        from sparring.metrics.images import default_extractor

        pictures = make_extractor(extractor or default_extractor(dataset), dataset.sample_shape)
        return pictures.name, lambda samples: pictures(samples)[0]
    return "the numbers themselves", lambda samples: spec.stored(samples).flatten(1).nan_to_num(0)
