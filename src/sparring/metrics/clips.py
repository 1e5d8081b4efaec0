"""Scores of generated clips: Fréchet distances of clips and of single frames, and a classifier two-sample test."""

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
"""Largest number of clips that are compared; in I3D's features as many as in published FVDs."""
BATCH = 50

DISTANCES = {"frechet": "frechet_clips", "frames": "frechet_frames"}
"""Scores by the names of their `METRICS`."""
METRICS = (*DISTANCES, "c2st")
OTHER_NAMES = {"fd": "frechet"} | {score: name for name, score in DISTANCES.items()}
EXTRACTORS = ("untrained", "i3d:FILE")


class _View(NamedTuple):
    """The frames of a clip that a score compares, and the features of such frames: (B, C, T, H, W) -> (B, D)."""

    score: str
    frames: range
    features: Callable[[Tensor], Tensor]


class ClipMetric(Metric):
    """Compares samples with as many held-out clips, or with clips of the data itself if none are held out."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        num: int = FVD_CLIPS,
        metrics: Collection[str] | None = None,
        extractor: str = "untrained",
        device: torch.device | str = "cpu",
    ) -> None:
        """Compares at most `num` samples, and at most `CLIPS` or `FVD_CLIPS`; raises `DataError` if there are fewer
        than two on either side. `metrics` are some of `METRICS`; None: all. With the `extractor` "i3d:FILE" the
        distance of clips is FVD and named so; single frames keep the untrained features. Features run on the `device`.
        """
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
        self.views: list[_View] = []
        self.facts = {"extractor": NAME, "resized": f"bilinear to {SIDE}×{SIDE}", "count": self.count}
        whole = {"frechet", "c2st"} & set(self.metrics)
        if fvd and whole:
            if frames < i3d.FEWEST_FRAMES:
                raise DataError(f"I3D needs clips of {i3d.FEWEST_FRAMES} frames or more, and these have {frames}")
            network = read_weights(kind, file, "I3D", i3d.I3D.published).to(self.device)
            self.facts["extractor"] = f"I3D {Path(file).name} (single frames: {NAME})"
            self.facts["resized"] = f"bilinear to {i3d.SIDE}×{i3d.SIDE} (single frames: {SIDE}×{SIDE})"
            self.views.append(_View("fvd", range(frames), lambda clips: network(rgb(clips))))
        elif whole:
            self.views.append(
                _View(DISTANCES["frechet"], range(frames), ClipFeatures(channels, frames).to(self.device))
            )
        if "frames" in self.metrics:
            middle = range(frames // 2, frames // 2 + 1)
            self.views.append(_View(DISTANCES["frames"], middle, ClipFeatures(channels, 1).to(self.device)))
        self.floor: dict[str, float] = {}
        if not self.views:
            return  # no clips have to be read
        order = torch.randperm(len(other), generator=torch.Generator().manual_seed(0))
        self.reference = self._features(_chunks(other, order[: self.count]))
        if dataset.held_out:
            order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(1))
        self.floor = self._scores(self._features(_chunks(dataset, order[-self.count :])), "_floor")

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """The chosen scores: `frechet_clips` (`fvd` in I3D's features), `frechet_frames` and `c2st`, and the same of
        other real clips (`_floor`)."""
        if not self.views:
            return {}
        return self._scores(self._features(sample(self.count)[0].split(BATCH)), "") | self.floor

    def _features(self, chunks: Iterable[Tensor]) -> dict[str, Tensor]:
        """Features (N, D) by score: of whole clips, and of the middle frame of each."""
        found: dict[str, list[Tensor]] = {view.score: [] for view in self.views}
        for chunk in chunks:
            for score, frames, features in self.views:
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
