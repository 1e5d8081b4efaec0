"""The number of modes of a mixture of Gaussians that samples cover."""

from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.data.dataset import Dataset
from sparring.data.synthetic import Points, mode_coverage
from sparring.metrics.metric import Metric, Sampler
from sparring.metrics.two_sample import classifier_two_sample

SAMPLES = 10_000


class ModeMetric(Metric):
    def __init__(self, dataset: Dataset, num: int = SAMPLES, *, c2st: bool = False) -> None:
        """`c2st` adds the classifier two-sample test."""
        assert isinstance(dataset, Points)
        self.dataset, self.c2st = dataset, c2st
        self.count, self.facts = num, {"count": num}

    def __call__(self, sample: Sampler) -> dict[str, float]:
        points = sample(self.count)[0].flatten(1)
        covered, share = mode_coverage(points, self.dataset.modes, self.dataset.std)
        scores = {"modes": covered, "share_within_3_sigma": share}
        if self.c2st:
            scores |= {"c2st": self._two_sample(points.cpu()), "c2st_floor": self.floor}
        return scores

    @cached_property
    def floor(self) -> float:
        """The score of as many other real points."""
        return self._two_sample(self._halves[1])

    @cached_property
    def _halves(self) -> tuple[Tensor, ...]:
        return self.dataset.samples[: 2 * self.count].flatten(1).chunk(2)

    def _two_sample(self, points: Tensor) -> float:
        return classifier_two_sample(self._features(points), self._features(self._halves[0]))

    def _features(self, points: Tensor) -> Tensor:
        """Maps points (N, 2) to their offset from the nearest mode, in standard deviations, and the one-hot index of
        that mode, (N, 2 + K). A classifier of plain coordinates is too smooth for modes as narrow."""
        modes = self.dataset.modes
        nearest = torch.cdist(points, modes).argmin(1)
        within = ((points - modes[nearest]) / self.dataset.std).clamp(-10, 10)
        return torch.cat([within, F.one_hot(nearest, len(modes)).float()], 1)
