"""The scoring of points, by the modes they cover."""

from typing import Any

from sparring.data.dataset import DataError, Dataset
from sparring.data.synthetic import Points
from sparring.metrics.metric import Metric, Sampler
from sparring.metrics.modes import ModeMetric
from sparring.metrics.two_sample import FEWEST
from sparring.modalities.scoring import Comparison, Device, Features, Scoring, sampled_features


class PointsScoring(Scoring):
    def metric(
        self, dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
    ) -> Metric | None:
        return ModeMetric(dataset, c2st=also == "c2st") if isinstance(dataset, Points) else None

    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        if how.metrics:
            raise DataError("--metrics is for pictures, clips, series and texts, and these are points: drop it")
        modes = ModeMetric(dataset, how.num, c2st=how.num >= FEWEST)
        return {**modes.facts, **modes(sample)}

    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        return sampled_features(
            dataset, "the numbers themselves", lambda samples: samples.flatten(1), lambda samples: samples.clamp(-1, 1)
        )
