"""Scores texts by language models, by their symbols and by what they copy."""

from typing import Any

from sparring.data.dataset import Dataset
from sparring.data.spec import DataSpec
from sparring.metrics import texts
from sparring.metrics.metric import Metric, Sampler
from sparring.modalities.scoring import Comparison, Device, Features, Scoring, drawn_features
from sparring.modalities.text.facts import symbols


class TextScoring(Scoring):
    def metric(
        self, dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
    ) -> Metric | None:
        return texts.TextMetric(dataset, told=also == "c2st")

    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        return texts.evaluate_texts(
            dataset, sample, seed=how.seed, reference=how.reference, num=how.num, metrics=how.metrics,
            report=how.report,
        )  # fmt: skip

    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        vocabulary, length = symbols(DataSpec.of(dataset)), dataset.sample_shape[0]
        encoder = texts.Encoder(texts.spread_over(dataset, texts.MOST))
        return drawn_features(
            dataset, texts.ENCODER, lambda found: encoder(vocabulary.encode(found, length)), vocabulary.decode
        )
