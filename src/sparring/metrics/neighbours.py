"""What nearest neighbours say of samples: fidelity, variety, and whether they are copies.

Features of N samples and M real ones, (N, D) and (M, D); all distances are Euclidean.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

DISTANCES = 2**24
"""Held at once: 64 MB."""
ASKED = 10_000
"""Points of a large set whose own nearest neighbours say how far apart its points usually are."""

_SAME = 1e-3  # of the usual distance of two points: nearer ones are the same sample, put twice into the set


# Kynkäänniemi et al. 2019, eq. 1 to 3 (precision, recall); Naeem et al. 2020, eq. 4 and 5 (density, coverage)
def manifold_scores(features: Tensor, reference: Tensor, k: int = 5) -> dict[str, float]:
    """Every point stands for the ball around it that just reaches its k-th neighbour among its own kind.

    `precision`: samples within a ball of a real one; `recall`: real ones within a ball of a sample; `density`: in how
    many balls of real ones a sample lies, over k; `coverage`: balls of real ones that hold a sample.
    """
    if min(len(features), len(reference)) <= k:
        raise ValueError(f"{k} neighbours need more than {k} samples and real ones")
    real_radius, radius = _kth_distance(reference, k), _kth_distance(features, k)
    within = torch.zeros(len(features))
    covered, recalled = torch.zeros(len(reference), dtype=torch.bool), torch.zeros(len(reference), dtype=torch.bool)
    for part, distance in _distances(features, reference):
        inside = distance <= real_radius
        within[part] = inside.sum(1).float()
        covered |= inside.any(0)
        recalled |= (distance <= radius[part, None]).any(0)
    return {
        "precision": (within > 0).float().mean().item(),
        "recall": recalled.float().mean().item(),
        "density": within.mean().item() / k,
        "coverage": covered.float().mean().item(),
    }


def nearest(features: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """The distance to the nearest of `reference` and its place, (N,) each."""
    found = [distance.min(1) for _, distance in _distances(features, reference)]
    return torch.cat([values for values, _ in found]), torch.cat([places for _, places in found])


def near_copies(features: Tensor, training: Tensor, held_out: Tensor | None = None) -> tuple[float, float]:
    """The share of samples that lie nearer to a training sample than all but one in a hundred training samples do to
    another one, and the same share of the held-out ones, or without them of the training samples themselves, each
    beside the others: about 0.01, more where the set holds much that is nearly alike."""
    centre = training.mean(0)  # far from the origin distances are inexact
    features, training = features - centre, training - centre
    apart = _nearest_other(training)
    threshold = _unusually_near(apart)
    found = nearest(features, training)[0]
    usual = apart if held_out is None else nearest(held_out - centre, training)[0]
    return (found <= threshold).float().mean().item(), (usual <= threshold).float().mean().item()


def near_repeats(features: Tensor, reference: Tensor) -> float:
    """The share of samples that lie nearer to another sample than all but one in a hundred real ones do to another
    real one: about 0.01 for real ones, 1 where a generator repeats itself."""
    threshold = _unusually_near(_kth_distance(reference, 1))
    return (_kth_distance(features, 1) <= threshold).float().mean().item()


def _unusually_near(distances: Tensor) -> Tensor:
    """What one in a hundred falls short of; never much below the usual, as a set may hold its samples twice."""
    return torch.maximum(distances.kthvalue(max(1, len(distances) // 100))[0], 0.1 * distances.median())


def _nearest_other(points: Tensor) -> Tensor:
    """The distance from each of `ASKED` of the points to the nearest that is not the same sample once more: a set that
    holds all its samples twice would else call nothing a copy."""
    asked = points
    if len(points) > ASKED:
        asked = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(0))[:ASKED]]
    same = _SAME * (2 * points.var(0).sum()).sqrt()
    found = [distance.masked_fill_(distance <= same, torch.inf).amin(1) for _, distance in _distances(asked, points)]
    apart = torch.cat(found)
    apart = apart[apart.isfinite()]
    return apart if len(apart) else same[None]


def _kth_distance(points: Tensor, k: int) -> Tensor:
    """To the k-th nearest other point, (N,)."""
    return torch.cat([distance.kthvalue(k + 1, 1)[0] for _, distance in _distances(points, points)])


def _distances(points: Tensor, reference: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Rows of the matrix of distances (N, M), as many at a time as fit."""
    rows = max(1, DISTANCES // len(reference))
    for start in range(0, len(points), rows):
        part = slice(start, start + rows)
        yield part, torch.cdist(points[part], reference)
