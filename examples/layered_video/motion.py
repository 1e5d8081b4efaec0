"""Scores of clips of bouncing digits: how well they move, and how much like digits they look."""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.data.bouncing import Bouncing
from sparring.data.dataset import Dataset
from sparring.metrics.digit_classifier import load_digit_classifier, recognise
from sparring.metrics.frechet import frechet_distance
from sparring.metrics.metric import Extra, Metric, Sampler, register_metric
from sparring.metrics.scores import Score

from .persistence import can_be_judged, persistent_of, shapes_of
from .tracking import ink_of, track

CLIPS = 500
POSITION_BINS = 8
"""A side: positions are counted in 8×8 squares of the frame."""
SPEED_BINS = 20
"""Bins of 0.01 of the frame's side a frame; the last also counts all that is faster."""
DIRECTION_BINS = 16
"""Bins of 22.5 degrees; one more counts what moves less than 0.01 of the frame's side a frame."""

STILL = 0.01  # of the frame's side a frame
SHADES = (0.1, 0.6)  # of ink, stretched to the classifier's black and white: it takes anything blurred for an 8
SURE = 0.9  # probability


class MotionMetric(Metric):
    """Compares 500 samples, or `count` of them, with as many held-out clips."""

    def __init__(self, dataset: Dataset, count: int = CLIPS) -> None:
        assert isinstance(dataset, Bouncing)
        assert dataset.held_out is not None
        self.num_digits, self.count = dataset.chosen.shape[1], count
        self.classifier = load_digit_classifier()
        spread = torch.linspace(0, len(dataset) - 1, count).long()
        held_out = dataset.held_out.batch(torch.arange(count))[0]
        self.reference = reference = self._measure(held_out)
        training = self._measure(dataset.batch(spread)[0])
        self.floor = {
            "persistent_floor": reference.persistent / max(1, reference.judged),
            "readable_floor": reference.readable,
        } | {f"{name}_floor": value for name, value in self._compare(training).items()}

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """The scores of `Motion`, each beside its `_floor`: distances of real training clips from the held-out ones,
        shares of the held-out ones.

        Clips in which two digits hardly ever come apart cannot be judged and are not counted, but where they are more
        than among held-out clips, those beyond count as not persistent.
        """
        found = self._measure(sample(self.count)[0])
        kept = found.persistent / max(1, found.judged, self.reference.judged)
        return self._compare(found) | {"readable": found.readable, "persistent": kept} | self.floor

    def _compare(self, found: "_Found") -> dict[str, float]:
        """The distances from the held-out clips."""
        own, real = found.histograms, self.reference.histograms
        scores = {f"{name}_tv": _total_variation(own[name], real[name]) for name in real}
        scores["speed_distance"] = _earth_movers(own["speed"], real["speed"])
        scores["shape_fd"] = frechet_distance(found.shapes, self.reference.shapes)
        return scores

    def _measure(self, clips: Tensor) -> "_Found":
        clips = clips.detach().to("cpu", torch.float32)
        positions, trusted = track(clips, self.num_digits)
        ink = ink_of(clips)
        patches, shapes = shapes_of(ink, positions, trusted)
        side = math.isqrt(shapes.shape[-1])
        pictures = F.interpolate(shapes.view(-1, 1, side, side), size=28, mode="bicubic")
        dark, light = SHADES
        features, _ = recognise(self.classifier, 2 * (pictures - dark) / (light - dark) - 1)
        probabilities = self.classifier.classify(features).softmax(1)
        return _Found(
            histograms(positions, trusted),
            features,
            (probabilities.amax(1) > SURE).float().mean().item(),
            int(persistent_of(ink, trusted, patches, shapes).sum()),
            int(can_be_judged(trusted).sum()),
        )


class Motion(Extra):
    """`MotionMetric`, where it is known what moves."""

    name = "motion"
    scores = (
        Score("position_tv", "total variation between the histograms of positions: 0 is best", "lower"),
        Score("speed_tv", "the same of speeds; near 1 where all differ by a little", "lower"),
        Score("direction_tv", "the same of directions", "lower"),
        Score("speed_distance", "earth mover's distance of speeds, in sides of the frame a frame: 0 is best", "lower"),
        Score("shape_fd", "Fréchet distance of the digits' own pictures: 0 is best", "lower"),
        Score("readable", "share of the digits that the classifier is sure of", "as real"),
        Score("persistent", "share of clips whose digits keep their shape, whatever it is: 1 is best", "higher"),
    )

    def applies(self, dataset: Dataset) -> bool:
        return isinstance(dataset, Bouncing)

    def make(self, dataset: Dataset, count: int | None) -> MotionMetric:
        return MotionMetric(dataset, count or CLIPS)


register_metric(Motion())


class _Found(NamedTuple):
    histograms: dict[str, Tensor]
    shapes: Tensor  # features of the digits' pictures (N, 64)
    readable: float  # share of them
    persistent: int  # clips
    judged: int  # clips


def histograms(positions: Tensor, trusted: Tensor) -> dict[str, Tensor]:
    """Counts of the trusted positions, and of speeds and directions between neighbouring trusted frames."""
    places = positions.transpose(1, 2)[trusted].flatten(0, -2)  # (N, 2)
    cells = (places * POSITION_BINS).long().clamp(0, POSITION_BINS - 1)
    steps = positions.diff(dim=2).transpose(1, 2)[trusted[:, 1:] & trusted[:, :-1]].flatten(0, -2)
    speed = steps.norm(dim=-1)
    angle = torch.atan2(steps[:, 1], steps[:, 0])
    # Half a bin on, so that the axes, along which whole pixels pile up, lie within bins and not between them.
    direction = (angle / (2 * math.pi) * DIRECTION_BINS + 0.5).floor().long() % DIRECTION_BINS
    direction[speed < STILL] = DIRECTION_BINS
    return {
        "position": torch.bincount(cells[:, 1] * POSITION_BINS + cells[:, 0], minlength=POSITION_BINS**2),
        "speed": torch.bincount((speed * 100).long().clamp(max=SPEED_BINS - 1), minlength=SPEED_BINS),
        "direction": torch.bincount(direction, minlength=DIRECTION_BINS + 1),
    }


def _earth_movers(first: Tensor, second: Tensor) -> float:
    """The distance between two histograms of speeds, in shares of the frame's side a frame."""
    shares = [histogram.double() / histogram.sum().clamp_min(1) for histogram in (first, second)]
    return 0.01 * (shares[0] - shares[1]).cumsum(0).abs().sum().item()


def _total_variation(first: Tensor, second: Tensor) -> float:
    """Half the summed differences of the shares; 1 where only one of the histograms counts anything."""
    counts = [first.sum(), second.sum()]
    if not counts[0] or not counts[1]:
        return float(counts[0] != counts[1])
    return (first / counts[0] - second / counts[1]).abs().sum().item() / 2
