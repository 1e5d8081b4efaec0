"""How good generated clips are: Fréchet distances of clips and of single frames, and how digits move."""

from collections.abc import Collection

import torch
from torch import Tensor

from sparring.data.bouncing import Bouncing
from sparring.data.dataset import DataError, Dataset
from sparring.metrics import Sampler, chosen_of
from sparring.metrics.clip_features import NAME, SIDE, ClipFeatures
from sparring.metrics.frechet import frechet_distance
from sparring.metrics.motion import MotionMetric

CLIPS = 500
BATCH = 50

DISTANCES = {"frechet": "frechet_clips", "frames": "frechet_frames"}
"""By their names among the `METRICS`."""
METRICS = (*DISTANCES, "motion")
OTHER_NAMES = {"fd": "frechet"} | {score: name for name, score in DISTANCES.items()}


class ClipMetric:
    """Compares 500 samples with as many held-out clips (of the data itself where none are held out)."""

    def __init__(self, dataset: Dataset, *, num: int = CLIPS, metrics: Collection[str] | None = None) -> None:
        """Of `num` samples at most; raises `DataError` where there are fewer than two on either side. Only the named of
        `METRICS` are computed; None: all that there are for these clips."""
        known = METRICS if isinstance(dataset, Bouncing) else tuple(DISTANCES)
        self.metrics = chosen_of(known, known if metrics is None else metrics, OTHER_NAMES)
        channels, frames, _, _ = dataset.sample_shape
        other = dataset.held_out or dataset
        self.count = min(CLIPS, num, len(other), len(dataset) if dataset.held_out else len(dataset) // 2)
        if self.count < 2:
            raise DataError(f"{dataset.name} cannot be measured: at least four clips are needed, and two samples")
        self.motion = MotionMetric(dataset, self.count) if "motion" in self.metrics else None
        middle = frames // 2
        seen = {"frechet": range(frames), "frames": range(middle, middle + 1)}
        self.looks = {
            name: (part, ClipFeatures(channels, len(part))) for name, part in seen.items() if name in self.metrics
        }
        self.facts = {"extractor": NAME, "resized": f"bilinear to {SIDE}×{SIDE}", "count": self.count}
        self.floor: dict[str, float] = {}
        if not self.looks:
            return  # no clip need be read for distances
        order = torch.randperm(len(other), generator=torch.Generator().manual_seed(0))
        self.reference = self._features(_chunks(other, order[: self.count]))
        if dataset.held_out:
            order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(1))
        self.floor = self._distances(self._features(_chunks(dataset, order[-self.count :])), "_floor")

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """Of the metrics chosen: `frechet_clips` and `frechet_frames` in the features of `clip_features.NAME`, beside
        what other real clips get (`_floor`); of bouncing digits what `MotionMetric` finds too."""
        clips = sample(self.count)[0]
        scores = self._distances(self._features(list(clips.split(BATCH))), "") | self.floor
        if self.motion is not None:
            scores |= self.motion(lambda count: (clips[:count], None))
        return scores

    def _features(self, chunks: list[Tensor]) -> dict[str, Tensor]:
        """By the names of the `METRICS` chosen, (N, 48): of whole clips, of one frame of each, the middle one."""
        return {
            name: torch.cat([features(chunk[:, :, part.start : part.stop]) for chunk in chunks])
            for name, (part, features) in self.looks.items()
        }

    def _distances(self, features: dict[str, Tensor], suffix: str) -> dict[str, float]:
        return {
            DISTANCES[name] + suffix: frechet_distance(found, self.reference[name]) for name, found in features.items()
        }


def _chunks(dataset: Dataset, chosen: Tensor) -> list[Tensor]:
    return [dataset.batch(part)[0] for part in chosen.split(BATCH)]
