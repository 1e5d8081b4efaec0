"""Scores from nearest neighbours: fidelity, diversity and copies.

Features are (N, D) for generated and (M, D) for real samples. All distances are Euclidean.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

DISTANCES_AT_ONCE = 2**24
"""64 MB."""
QUERIES = 10_000
"""The number of points of a large set from which the usual distance of nearest neighbours is estimated."""

_SAME = 1e-3  # relative to the usual distance of two points: closer points are one sample that the set holds twice


# Kynkäänniemi et al. 2019, eq. 1 to 3 (precision, recall); Naeem et al. 2020, eq. 4 and 5 (density, coverage)
def manifold_scores(features: Tensor, reference: Tensor, k: int = 5) -> dict[str, float]:
    """Each point has a ball whose radius is the distance to its k-th nearest neighbour in its own set.

    `precision`: share of samples within a real ball; `recall`: share of real samples within a sample's ball; `density`:
    mean number of real balls around a sample, divided by k; `coverage`: share of real balls that contain a sample.
    """
    if min(len(features), len(reference)) <= k:
        raise ValueError(f"{k} neighbours need more than {k} generated and {k} real samples")
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
    """The distance to the nearest point of `reference` and the index of that point, (N,) each."""
    found = [distance.min(1) for _, distance in _distances(features, reference)]
    return torch.cat([values for values, _ in found]), torch.cat([indices for _, indices in found])


def near_copies(features: Tensor, training: Tensor, held_out: Tensor | None = None) -> tuple[float, float]:
    """The share of near copies among samples, and among held-out samples (without them, among the training samples).

    A near copy is closer to a training sample than 99% of the training samples are to another one. The share of real
    samples is about 0.01, and higher if the set contains many similar samples.
    """
    centre = training.mean(0)  # distances far from the origin are inexact
    features, training = features - centre, training - centre
    apart = _nearest_other(training)
    threshold = _unusually_near(apart)
    found = nearest(features, training)[0]
    usual = apart if held_out is None else nearest(held_out - centre, training)[0]
    return (found <= threshold).float().mean().item(), (usual <= threshold).float().mean().item()


def near_repeats(features: Tensor, reference: Tensor) -> float:
    """The share of samples that are closer to another sample than 99% of the real samples are to another real one:
    about 0.01 for real samples, 1 for a generator that always repeats itself."""
    threshold = _unusually_near(_kth_distance(reference, 1))
    return (_kth_distance(features, 1) <= threshold).float().mean().item()


def _unusually_near(distances: Tensor) -> Tensor:
    """The first percentile, but at least a tenth of the median, as a set may hold samples twice."""
    return torch.maximum(distances.kthvalue(max(1, len(distances) // 100))[0], 0.1 * distances.median())


def _nearest_other(points: Tensor) -> Tensor:
    """The distance from each of `QUERIES` points to the nearest point that is not a duplicate. In a set that holds all
    samples twice, no sample would count as a copy otherwise."""
    queries = points
    if len(points) > QUERIES:
        queries = points[torch.randperm(len(points), generator=torch.Generator().manual_seed(0))[:QUERIES]]
    same = _SAME * (2 * points.var(0).sum()).sqrt()
    found = [distance.masked_fill_(distance <= same, torch.inf).amin(1) for _, distance in _distances(queries, points)]
    apart = torch.cat(found)
    apart = apart[apart.isfinite()]
    return apart if len(apart) else same[None]


def _kth_distance(points: Tensor, k: int) -> Tensor:
    """The distance to the k-th nearest other point, (N,)."""
    return torch.cat([distance.kthvalue(k + 1, 1)[0] for _, distance in _distances(points, points)])


def _distances(points: Tensor, reference: Tensor) -> Iterator[tuple[slice, Tensor]]:
    """Yields rows of the matrix of distances (N, M), `DISTANCES_AT_ONCE` entries at a time."""
    rows = max(1, DISTANCES_AT_ONCE // len(reference))
    for start in range(0, len(points), rows):
        part = slice(start, start + rows)
        yield part, torch.cdist(points[part], reference)
