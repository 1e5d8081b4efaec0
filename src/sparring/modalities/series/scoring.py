"""Scores series by networks that are trained on them, and by their correlations."""

from typing import Any

from sparring.data.dataset import Dataset
from sparring.data.spec import DataSpec
from sparring.metrics import series
from sparring.metrics.metric import Metric, Sampler
from sparring.modalities.scoring import Comparison, Device, Features, Scoring, drawn_features
from sparring.modalities.series.facts import scaling


class SeriesScoring(Scoring):
    repeats = True

    def metric(
        self, dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
    ) -> Metric | None:
        return series.SeriesMetric(dataset, told=also == "c2st")

    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        return series.evaluate_series(
            dataset, sample, repeats=how.repeats or series.REPEATS, seed=how.seed, num=how.num, metrics=how.metrics,
            report=how.report,
        )  # fmt: skip

    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        channels = scaling(DataSpec.of(dataset))
        return drawn_features(
            dataset,
            "the numbers themselves",
            lambda samples: channels.store(samples).flatten(1).nan_to_num(0),
            channels.restore,
        )

    def against(self, dataset: Dataset, reference: Dataset) -> Dataset:
        """The reference itself: series are compared with training data."""
        return reference
