"""How well generated clips of bouncing digits move, and how much like digits they look, measured from their pixels
alone."""

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

CLIPS = 500
POSITION_BINS = 8
"""A side: positions are counted in 8x8 squares of the frame."""
SPEED_BINS = 20
"""Of 0.01 of the frame's side a frame each; the last also counts all that is faster."""
DIRECTION_BINS = 16
"""Of 22.5 degrees each; one more counts what moves less than 0.01 of the frame's side a frame."""

_STILL = 0.01  # of the frame's side a frame
_INK = 0.25  # darker pixels are background
_APART = 0.33  # of the frame's side: digits whose centres are closer may overlap
_CELLS = 32  # a side, on which digits are told apart and compared
_ITERATIONS = 8
_PATCH = 28 / 64  # of the frame's side, what a digit is drawn into
_MASS = (0.75, 1.25)  # of the clip's median
_HIDDEN_MASS = 0.6  # of the clip's median, where one digit may hide a part of the other
_LIKENESS = 0.7  # correlation with the clip's median picture
_JUDGED = 2  # trusted frames let a clip be judged
_SHADES = (0.1, 0.6)  # of ink, that become the classifier's black and white: it takes all that is blurred for an 8
_SURE = 0.9  # probability


def track(clips: Tensor, num_digits: int) -> tuple[Tensor, Tensor]:
    """Where the digits of `clips` (B, 1, T, H, W) are, and in which frames that can be trusted.

    Positions (B, num_digits, T, 2) are x and y of the centres of mass in shares of the frame's sides; trusted is a
    mask (B, T). A frame without ink is not trusted and its position is the frame's centre.

    Two digits are told apart by 2-means of a frame's ink and carried on to the nearest in the next trusted frame.
    Where they come within a third of the frame's side they merge and the frame is not trusted; behind such frames
    they may have changed places. Strokes nearer to the other digit's centre than to their own are counted wrongly,
    which shifts a centre by a pixel or two.
    """
    if num_digits not in (1, 2):
        raise ValueError(f"one or two digits can be tracked, not {num_digits}")
    ink = _ink(clips)
    if num_digits == 1:
        centres, mass = _centre(ink.flatten(2), _grid(*ink.shape[-2:]))
        return centres[:, None], mass > 0
    pairs = _two_means(ink)
    apart = (pairs[:, 0] - pairs[:, 1]).norm(dim=-1) >= _APART
    return _in_order(pairs, apart), apart


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
        """Total variation distances 0..1 between the histograms of position, speed and direction (`position_tv`,
        `speed_tv`, `direction_tv`) of samples and held-out clips, each beside its `_floor`, that of as many real
        training clips; `speed_distance`, by how much of the frame's side a frame speeds differ on average (earth
        mover's distance: `speed_tv` is near 1 where all differ by a little); `shape_fd`, the Fréchet distance of the
        digits' own pictures in the features of the digits' classifier; `readable`, the share of these of which it is
        sure which digit they are; `persistent`, the share of clips whose digits keep their shape, whatever it is; the
        last two beside those of held-out clips.

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
        ink = _ink(clips)
        patches, shapes = _shapes(ink, positions, trusted)
        side = math.isqrt(shapes.shape[-1])
        pictures = F.interpolate(shapes.view(-1, 1, side, side), size=28, mode="bicubic")
        dark, light = _SHADES
        features, _ = recognise(self.classifier, 2 * (pictures - dark) / (light - dark) - 1)
        probabilities = self.classifier.classify(features).softmax(1)
        return _Found(
            histograms(positions, trusted),
            features,
            (probabilities.amax(1) > _SURE).float().mean().item(),
            int(_persistent(ink, trusted, patches, shapes).sum()),
            int(_judged(trusted).sum()),
        )


class Motion(Extra):
    """`MotionMetric`, where it is known what moves."""

    name = "motion"

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
    direction[speed < _STILL] = DIRECTION_BINS
    return {
        "position": torch.bincount(cells[:, 1] * POSITION_BINS + cells[:, 0], minlength=POSITION_BINS**2),
        "speed": torch.bincount((speed * 100).long().clamp(max=SPEED_BINS - 1), minlength=SPEED_BINS),
        "direction": torch.bincount(direction, minlength=DIRECTION_BINS + 1),
    }


def persistent(clips: Tensor, positions: Tensor, trusted: Tensor) -> Tensor:
    """Which of `clips` (B, 1, T, H, W), tracked by `track`, show the same digits from first to last: a mask (B,).

    In every trusted frame the ink must be within 25% of the clip's median, and the picture around each centre must
    correlate with the clip's median picture by at least 0.7. In the others, where a digit may hide a part of another,
    60% to 125% of the ink must be there. A clip of which fewer than two frames are trusted does not pass.
    """
    ink = _ink(clips)
    return _persistent(ink, trusted, *_shapes(ink, positions, trusted))


def _persistent(ink: Tensor, trusted: Tensor, patches: Tensor, typical: Tensor) -> Tensor:
    mass = ink.sum(dim=(2, 3))
    share = mass / _median(mass, trusted)[:, None].clamp_min(1e-6)
    least = torch.where(trusted, _MASS[0], _HIDDEN_MASS if patches.shape[1] > 1 else _MASS[0])
    steady = ((share >= least) & (share <= _MASS[1])).all(dim=1)
    alike = (_correlation(patches, typical) >= _LIKENESS) | ~trusted[:, None]
    return steady & alike.all(dim=2).all(dim=1) & _judged(trusted)


def _shapes(ink: Tensor, positions: Tensor, trusted: Tensor) -> tuple[Tensor, Tensor]:
    """The ink (B, T, H, W) around each position (B, digits, T, side * side), and each digit's median over the trusted
    frames (B, digits, side * side)."""
    patches = _patches(_pooled(ink, _CELLS), positions)
    if positions.shape[1] == 2:
        patches = _matched(patches, positions, trusted)
    return patches, _median(patches.transpose(2, 3), trusted[:, None, None])


def _judged(trusted: Tensor) -> Tensor:
    return trusted.sum(dim=1) >= min(_JUDGED, trusted.shape[1])


def _ink(clips: Tensor) -> Tensor:
    """(B, T, H, W) in 0..1, the background at 0."""
    ink = (clips[:, 0] + 1) / 2
    return torch.where(ink > _INK, ink, 0)


def _grid(height: int, width: int) -> Tensor:
    """The pixels' centres (H * W, 2) as x and y in shares of the sides."""
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing="ij")
    return torch.stack([x, y], dim=-1).flatten(0, 1)


def _centre(weight: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
    """Centres of mass (..., 2) of weights (..., H * W), and the masses (...)."""
    mass = weight.sum(dim=-1)
    centre = (weight @ grid) / mass.clamp_min(1e-6)[..., None]
    return torch.where(mass[..., None] > 0, centre, 0.5), mass


def _two_means(ink: Tensor) -> Tensor:
    """The two centres (B, 2, T, 2) around which the ink (B, T, H, W) lies, from both sides of its longest axis."""
    coarse = _pooled(ink, _CELLS // 2)
    grid = _grid(*coarse.shape[-2:])
    weight = coarse.flatten(2)
    x, y = grid.unbind(-1)
    features = torch.stack([torch.ones_like(x), x, y, x * x, y * y, x * y], dim=1)
    mass, x, y, xx, yy, xy = (weight @ features).unbind(-1)
    x, y, xx, yy, xy = (moment / mass.clamp_min(1e-6) for moment in (x, y, xx, yy, xy))
    xx, yy, xy = xx - x * x, yy - y * y, xy - x * y
    angle = torch.atan2(2 * xy, xx - yy) / 2
    reach = ((xx + yy) / 2 + (((xx - yy) / 2) ** 2 + xy**2).sqrt()).clamp_min(0).sqrt()
    offset = torch.stack([reach * angle.cos(), reach * angle.sin()], dim=-1)
    centre = torch.stack([x, y], dim=-1)
    centres = _lloyd(coarse, centre - offset, centre + offset, _ITERATIONS - 2)
    return torch.stack(_lloyd(_pooled(ink, _CELLS), *centres, 2), dim=1)


def _lloyd(cells: Tensor, first: Tensor, second: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Moves two centres (B, T, 2) to the centres of mass of what is nearer to each than to the other."""
    grid = _grid(*cells.shape[-2:])
    weight = cells.flatten(2)
    features = torch.cat([grid, torch.ones(len(grid), 1)], dim=1)
    total = weight @ features
    for _ in range(iterations):
        # The perpendicular bisector parts what is nearer to the first from what is nearer to the second.
        normal = second - first
        edge = (normal * (first + second)).sum(dim=-1, keepdim=True) / 2
        mine = (weight * (normal @ grid.T < edge)) @ features
        first, second = (
            torch.where(moved[..., 2:] > 1e-6, moved[..., :2] / moved[..., 2:].clamp_min(1e-6), centre)
            for moved, centre in ((mine, first), (total - mine, second))
        )
    return first, second


def _pooled(ink: Tensor, cells: int) -> Tensor:
    """Means over as many pixels as leave at least `cells` a side, to save time."""
    sizes = range(1, max(1, min(ink.shape[-2:]) // cells) + 1)
    return F.avg_pool2d(ink, max(size for size in sizes if not any(side % size for side in ink.shape[-2:])))


def _in_order(pairs: Tensor, trusted: Tensor) -> Tensor:
    """`pairs` (B, 2, T, 2) with the two swapped in frames where that is nearer to the last trusted frame's."""
    ordered = pairs.clone()
    last = ordered[:, :, 0]
    for frame in range(1, pairs.shape[2]):
        now = pairs[:, :, frame]
        stay = (now - last).norm(dim=-1).sum(dim=1)
        swap = (now.flip(1) - last).norm(dim=-1).sum(dim=1)
        now = torch.where((swap < stay)[:, None, None], now.flip(1), now)
        ordered[:, :, frame] = now
        # Before the first trusted frame there is nothing better to go by than the frame before.
        known = trusted[:, frame] | ~trusted[:, :frame].any(dim=1)
        last = torch.where(known[:, None, None], now, last)
    return ordered


def _patches(ink: Tensor, positions: Tensor) -> Tensor:
    """The ink around each position: (B, digits, T, side * side), without what is nearer to the other digit."""
    batch, digits, frames, _ = positions.shape
    side = max(4, round(_PATCH * ink.shape[-1]))
    offsets = (_grid(side, side) - 0.5) * _PATCH  # (side * side, 2)
    points = positions[..., None, :] + offsets
    sampled = F.grid_sample(
        ink.flatten(0, 1)[:, None],
        2 * points.permute(0, 2, 1, 3, 4).reshape(batch * frames, digits, -1, 2) - 1,
        align_corners=False,
    )
    patches = sampled.view(batch, frames, digits, -1).transpose(1, 2)
    if digits == 2:
        other = positions.flip(1) - positions
        own = other @ offsets.T <= (other**2).sum(dim=-1, keepdim=True) / 2
        patches = torch.where(own, patches, 0)
    return patches


def _matched(patches: Tensor, positions: Tensor, trusted: Tensor) -> Tensor:
    """`patches` (B, 2, T, P) with the two swapped in frames where that is more like the frame they lie farthest apart
    in: behind frames in which they merged, `track` may have taken one for the other."""
    apart = torch.where(trusted, (positions[:, 0] - positions[:, 1]).norm(dim=-1), -1)
    best = apart.argmax(dim=1)
    anchor = patches[torch.arange(len(patches)), :, best]  # (B, 2, P)
    stay = _correlation(patches, anchor).sum(dim=1)
    swap = _correlation(patches.flip(1), anchor).sum(dim=1)
    return torch.where((swap > stay)[:, None, :, None], patches.flip(1), patches)


def _correlation(patches: Tensor, typical: Tensor) -> Tensor:
    """Of each of `patches` (B, digits, T, P) with its digit's (B, digits, P)."""
    deviation = patches - patches.mean(dim=-1, keepdim=True)
    expected = (typical - typical.mean(dim=-1, keepdim=True))[:, :, None]
    return F.cosine_similarity(deviation, expected, dim=-1)


def _median(values: Tensor, trusted: Tensor) -> Tensor:
    """Over the trusted frames, which are the last dimension; over all where none is trusted."""
    counted = trusted | ~trusted.any(dim=-1, keepdim=True)
    return values.where(counted, torch.nan).nanmedian(dim=-1).values


def _earth_movers(first: Tensor, second: Tensor) -> float:
    """Between two histograms of speeds, in shares of the frame's side a frame."""
    shares = [histogram.double() / histogram.sum().clamp_min(1) for histogram in (first, second)]
    return 0.01 * (shares[0] - shares[1]).cumsum(0).abs().sum().item()


def _total_variation(first: Tensor, second: Tensor) -> float:
    """Half the summed differences of the shares; 1 where only one of the histograms counts anything."""
    counts = [first.sum(), second.sum()]
    if not counts[0] or not counts[1]:
        return float(counts[0] != counts[1])
    return (first / counts[0] - second / counts[1]).abs().sum().item() / 2
