"""How good generated clips are: Fréchet distances of clips and of single frames, and how digits move."""

import torch
from torch import Tensor

from sparring.data.bouncing import Bouncing
from sparring.data.dataset import DataError, Dataset
from sparring.metrics import Sampler
from sparring.metrics.clip_features import ClipFeatures
from sparring.metrics.frechet import frechet_distance
from sparring.metrics.motion import MotionMetric

CLIPS = 500
BATCH = 50


class ClipMetric:
    """Compares 500 samples with as many held-out clips (of the data itself where none are held out)."""

    def __init__(self, dataset: Dataset, *, num: int = CLIPS) -> None:
        """Of `num` samples at most; raises `DataError` where there are fewer than two on either side."""
        channels, frames, _, _ = dataset.sample_shape
        other = dataset.held_out or dataset
        self.count = min(CLIPS, num, len(other), len(dataset) if dataset.held_out else len(dataset) // 2)
        if self.count < 2:
            raise DataError(f"{dataset.name} cannot be measured: at least four clips are needed, and two samples")
        self.clips, self.frames = ClipFeatures(channels, frames), ClipFeatures(channels, 1)
        self.motion = MotionMetric(dataset) if isinstance(dataset, Bouncing) else None
        order = torch.randperm(len(other), generator=torch.Generator().manual_seed(0))
        self.reference = self._features(_chunks(other, order[: self.count]))
        if dataset.held_out:
            order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(1))
        self.floor = self._distances(self._features(_chunks(dataset, order[-self.count :])), "_floor")

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """`frechet_clips` and `frechet_frames` in the features of `clip_features.NAME`, beside what other real clips
        get (`_floor`); of bouncing digits what `MotionMetric` finds too."""
        clips = sample(self.count)[0]
        scores = self._distances(self._features(list(clips.split(BATCH))), "") | self.floor
        if self.motion is not None:
            scores |= self.motion(lambda count: (clips[:count], None))
        return scores

    def _features(self, chunks: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Of whole clips (N, 48), and of one frame of each, the middle one, (N, 48)."""
        middle = chunks[0].shape[2] // 2
        whole = [self.clips(chunk) for chunk in chunks]
        single = [self.frames(chunk[:, :, middle : middle + 1]) for chunk in chunks]
        return torch.cat(whole), torch.cat(single)

    def _distances(self, features: tuple[Tensor, Tensor], suffix: str) -> dict[str, float]:
        names = ("frechet_clips", "frechet_frames")
        return {
            name + suffix: frechet_distance(found, reference)
            for name, found, reference in zip(names, features, self.reference, strict=True)
        }


def _chunks(dataset: Dataset, chosen: Tensor) -> list[Tensor]:
    return [dataset.batch(part)[0] for part in chosen.split(BATCH)]
