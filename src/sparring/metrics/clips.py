"""How good generated clips are: Fréchet distances of clips and of single frames, and whether a classifier tells them
from real ones."""

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from sparring.data.dataset import DataError, Dataset
from sparring.metrics import i3d
from sparring.metrics.clip_features import NAME, SIDE, ClipFeatures
from sparring.metrics.extractors import read_weights, rgb
from sparring.metrics.frechet import frechet_distance
from sparring.metrics.metric import Metric, Sampler, chosen_of
from sparring.metrics.two_sample import classifier_two_sample, without_few

CLIPS, FVD_CLIPS = 500, 2048
"""Compared at most; in I3D's features as many as published FVDs of today are of."""
BATCH = 50

DISTANCES = {"frechet": "frechet_clips", "frames": "frechet_frames"}
"""By their names among the `METRICS`."""
METRICS = (*DISTANCES, "c2st")
OTHER_NAMES = {"fd": "frechet"} | {score: name for name, score in DISTANCES.items()}
EXTRACTORS = ("untrained", "i3d:FILE")


class _Look(NamedTuple):
    """What a distance looks at, and of whole clips the classifier too: frames of every clip, by features
    (B, C, T, H, W) -> (B, D)."""

    score: str
    frames: range
    features: Callable[[Tensor], Tensor]


class ClipMetric(Metric):
    """Compares samples with as many held-out clips (of the data itself where none are held out)."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        num: int = FVD_CLIPS,
        metrics: Collection[str] | None = None,
        extractor: str = "untrained",
        device: torch.device | str = "cpu",
    ) -> None:
        """Of `num` samples at most, and of `CLIPS` or `FVD_CLIPS`; raises `DataError` where there are fewer than two
        on either side. Only the named of `METRICS` are computed; None: all. With the
        `extractor` "i3d:FILE" the distance of clips is FVD, and called so; single frames stay with the untrained
        features. Features are taken on the `device`."""
        self.device = torch.device(device)
        kind, _, file = extractor.partition(":")
        if kind not in ("untrained", "i3d"):
            raise DataError(f"there is no extractor {extractor} for clips: choose {' or '.join(EXTRACTORS)}")
        fvd = kind == "i3d"
        other_names = OTHER_NAMES | {"fvd": "frechet"} if fvd else OTHER_NAMES
        self.metrics = chosen_of(METRICS, METRICS if metrics is None else metrics, dataset, other_names)
        channels, frames, _, _ = dataset.sample_shape
        other = dataset.held_out or dataset
        most = min(num, FVD_CLIPS if fvd else CLIPS)
        self.count = min(most, len(other), len(dataset) if dataset.held_out else len(dataset) // 2)
        if self.count < 2:
            raise DataError(f"{dataset.name} cannot be measured: at least four clips are needed, and two samples")
        self.metrics = without_few(self.metrics, self.count, named=metrics is not None)
        self.looks: list[_Look] = []
        self.facts = {"extractor": NAME, "resized": f"bilinear to {SIDE}×{SIDE}", "count": self.count}
        whole = {"frechet", "c2st"} & set(self.metrics)
        if fvd and whole:
            if frames < i3d.FEWEST_FRAMES:
                raise DataError(f"I3D needs clips of {i3d.FEWEST_FRAMES} frames or more, and these have {frames}")
            network = read_weights(kind, file, "I3D", i3d.I3D.published).to(self.device)
            self.facts["extractor"] = f"I3D {Path(file).name} (single frames: {NAME})"
            self.facts["resized"] = f"bilinear to {i3d.SIDE}×{i3d.SIDE} (single frames: {SIDE}×{SIDE})"
            self.looks.append(_Look("fvd", range(frames), lambda clips: network(rgb(clips))))
        elif whole:
            self.looks.append(
                _Look(DISTANCES["frechet"], range(frames), ClipFeatures(channels, frames).to(self.device))
            )
        if "frames" in self.metrics:
            middle = range(frames // 2, frames // 2 + 1)
            self.looks.append(_Look(DISTANCES["frames"], middle, ClipFeatures(channels, 1).to(self.device)))
        self.floor: dict[str, float] = {}
        if not self.looks:
            return  # no clip need be read for distances
        order = torch.randperm(len(other), generator=torch.Generator().manual_seed(0))
        self.reference = self._features(_chunks(other, order[: self.count]))
        if dataset.held_out:
            order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(1))
        self.floor = self._scores(self._features(_chunks(dataset, order[-self.count :])), "_floor")

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """Of the metrics chosen: `frechet_clips`, or `fvd` in I3D's features, `frechet_frames` and `c2st`, beside what
        other real clips get (`_floor`)."""
        if not self.looks:
            return {}
        return self._scores(self._features(sample(self.count)[0].split(BATCH)), "") | self.floor

    def _features(self, chunks: Iterable[Tensor]) -> dict[str, Tensor]:
        """By the names of the scores, (N, D): of whole clips, of one frame of each, the middle one."""
        found: dict[str, list[Tensor]] = {look.score: [] for look in self.looks}
        for chunk in chunks:
            for score, frames, features in self.looks:
                found[score].append(features(chunk[:, :, frames.start : frames.stop].to(self.device)).cpu())
        return {score: torch.cat(parts) for score, parts in found.items()}

    def _scores(self, features: dict[str, Tensor], suffix: str) -> dict[str, float]:
        scores = {}
        for score, found in features.items():
            whole = score != DISTANCES["frames"]
            if not whole or "frechet" in self.metrics:
                scores[score + suffix] = frechet_distance(found, self.reference[score])
            if whole and "c2st" in self.metrics:
                scores[f"c2st{suffix}"] = classifier_two_sample(found, self.reference[score])
        return scores


def _chunks(dataset: Dataset, chosen: Tensor) -> Iterator[Tensor]:
    return (dataset.batch(part)[0] for part in chosen.split(BATCH))
