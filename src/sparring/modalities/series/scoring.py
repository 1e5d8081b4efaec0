"""The scoring of time series, by networks trained on them and by correlations."""

from typing import Any

from sparring.data.dataset import Dataset
from sparring.metrics import series
from sparring.metrics.metric import Metric, Sampler
from sparring.modalities.scoring import Comparison, Device, Features, Scoring, sampled_features


class SeriesScoring(Scoring):
    repeats = True

    def metric(
        self, dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
    ) -> Metric | None:
        return series.SeriesMetric(dataset, c2st=also == "c2st")

    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        return series.evaluate_series(
            dataset, sample, repeats=how.repeats or series.REPEATS, seed=how.seed, num=how.num, metrics=how.metrics,
            report=how.report,
        )  # fmt: skip

    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        channels = dataset.channels
        assert channels is not None, "series have channels"
        return sampled_features(
            dataset,
            "the numbers themselves",
            lambda samples: channels.store(samples).flatten(1).nan_to_num(0),
            channels.restore,
        )

    def with_reference(self, dataset: Dataset, reference: Dataset) -> Dataset:
        """The whole reference, as series are compared with the training data and not with held-out data."""
        return reference
