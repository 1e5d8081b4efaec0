"""How many modes of a mixture of Gaussians are covered."""

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
    def __init__(self, dataset: Dataset, num: int = SAMPLES, *, told: bool = False) -> None:
        """`told`: whether a classifier is trained to tell points from data (`c2st`)."""
        assert isinstance(dataset, Points)
        self.dataset, self.told = dataset, told
        self.count, self.facts = num, {"count": num}

    def __call__(self, sample: Sampler) -> dict[str, float]:
        points = sample(self.count)[0].flatten(1)
        covered, share = mode_coverage(points, self.dataset.modes, self.dataset.std)
        scores = {"modes": covered, "share_within_3_sigma": share}
        if self.told:
            scores |= {"c2st": self._told(points.cpu()), "c2st_floor": self.floor}
        return scores

    @cached_property
    def floor(self) -> float:
        """What as many other real points score."""
        return self._told(self._halves[1])

    @cached_property
    def _halves(self) -> tuple[Tensor, ...]:
        return self.dataset.samples[: 2 * self.count].flatten(1).chunk(2)

    def _told(self, points: Tensor) -> float:
        return classifier_two_sample(self._placed(points), self._placed(self._halves[0]))

    def _placed(self, points: Tensor) -> Tensor:
        """Points (N, 2) as where they lie in the mode nearest to them, in its standard deviations, and which it is,
        (N, 2 + K): a classifier of bare coordinates is too smooth for anything as narrow."""
        modes = self.dataset.modes
        nearest = torch.cdist(points, modes).argmin(1)
        within = ((points - modes[nearest]) / self.dataset.std).clamp(-10, 10)
        return torch.cat([within, F.one_hot(nearest, len(modes)).float()], 1)
