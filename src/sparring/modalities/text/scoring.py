"""The scoring of texts, by features, language models, diversity and copies."""

from typing import Any

from sparring.data.dataset import Dataset
from sparring.metrics import texts
from sparring.metrics.metric import Metric, Sampler
from sparring.modalities.scoring import Comparison, Device, Features, Scoring, sampled_features


class TextScoring(Scoring):
    def metric(
        self, dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
    ) -> Metric | None:
        return texts.TextMetric(dataset, c2st=also == "c2st")

    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        return texts.evaluate_texts(
            dataset, sample, seed=how.seed, reference=how.reference, num=how.num, metrics=how.metrics,
            report=how.report,
        )  # fmt: skip

    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        vocabulary, length = dataset.vocabulary, dataset.sample_shape[0]
        assert vocabulary is not None, "texts have a vocabulary"
        encoder = texts.Encoder(texts.evenly_spaced(dataset, texts.MOST))
        return sampled_features(
            dataset, texts.ENCODER, lambda found: encoder(vocabulary.encode(found, length)), vocabulary.decode
        )
