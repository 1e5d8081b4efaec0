"""The scoring of clips, in the features of whole clips and of single frames."""

from typing import Any

from sparring.data.dataset import Dataset
from sparring.metrics import clips
from sparring.metrics.clip_features import NAME, ClipFeatures
from sparring.metrics.metric import Metric, Sampler
from sparring.modalities.scoring import Comparison, Device, Features, Scoring, sampled_features

FEWEST = 4
"""The fewest real clips that can be scored."""


class VideoScoring(Scoring):
    extractor = True

    def metric(
        self, dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
    ) -> Metric | None:
        if len(dataset.held_out or dataset) < FEWEST:
            return None
        wanted = [name for name in clips.METRICS if name != "c2st" or also == "c2st"]
        return clips.ClipMetric(dataset, metrics=wanted, device=device)

    def evaluate(self, dataset: Dataset, sample: Sampler, how: Comparison) -> dict[str, Any]:
        extractor = how.extractor or "untrained"
        how.report(f"comparing clips in the features of the extractor {extractor}")
        metric = clips.ClipMetric(dataset, num=how.num, metrics=how.metrics, extractor=extractor, device=how.device)
        return {**metric.facts, **metric(sample)}

    def features(self, dataset: Dataset, extractor: str | None = None, device: Device = "cpu") -> Features:
        embed = ClipFeatures(*dataset.sample_shape[:2])
        return sampled_features(dataset, NAME, embed, lambda samples: samples.clamp(-1, 1))
