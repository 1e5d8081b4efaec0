"""The scoring of images, in the features of an extractor."""

from typing import Any

from sparring.data.dataset import Dataset
from sparring.metrics import images, real_images
from sparring.metrics.digits import DigitMetric
from sparring.metrics.extractors import make_extractor
from sparring.metrics.metric import CombinedMetric, Metric, Sampler
from sparring.modalities.scoring import Comparison, Device, Features, Scoring

WHILE_TRAINING = 1000
"""The number of images that a training run compares."""

DIGITS = "digits"
"""The name of the built-in digits and of their extractor."""


class ImageScoring(Scoring):
    extractor_in_training = extractor = searches_copies = True

    def metric(
        self, dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
    ) -> Metric | None:
        """`DigitMetric` for the built-in digits, Fréchet distance and recall for other images; `also` adds one of
        `images.METRICS`. None if there are too few images."""
        parts: list[Metric] = []
        wanted: set[str] = {"frechet", "recall"}
        if dataset.name == DIGITS and extractor in (None, DIGITS):
            parts, wanted = [DigitMetric(dataset)], set()
        if also in images.METRICS and not (parts and also in ("frechet", "recognised")):
            wanted.add(also)
        if wanted and len(dataset) >= 2 * images.FEWEST:
            chosen = extractor or default_extractor(dataset)
            parts.append(
                images.ImageEvaluation(
                    dataset, num=WHILE_TRAINING, extractor=chosen, metrics=wanted, by_content=False, device=device
                )
            )
        return CombinedMetric.of(parts)

    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        chosen = how.extractor or default_extractor(dataset)
        how.report(f"comparing pictures in the features of the extractor {chosen}")
        evaluation = images.ImageEvaluation(
            dataset, num=how.num, extractor=chosen, seed=how.seed, metrics=how.metrics, trained_on=how.trained_on,
            device=how.device,
        )  # fmt: skip
        return evaluation.facts | evaluation(sample)

    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        embed = make_extractor(extractor or default_extractor(dataset), dataset.sample_shape, device)
        indices = real_images.searched(embed, dataset)
        real = real_images.features_of(embed, dataset, indices)
        return Features(embed.name, indices, real, lambda samples: embed(samples)[0])


def default_extractor(dataset: Dataset) -> str:
    return DIGITS if dataset.name == DIGITS else "untrained"
