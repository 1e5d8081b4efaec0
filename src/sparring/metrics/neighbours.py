"""What nearest neighbours say of samples: fidelity, variety, and whether they are copies.

Features of N samples and M real ones, (N, D) and (M, D); all distances are Euclidean.
"""

import torch
from torch import Tensor

CHUNK = 2048


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
    for start in range(0, len(features), CHUNK):
        distance = torch.cdist(features[start : start + CHUNK], reference)  # (n, M)
        inside = distance <= real_radius
        within[start : start + CHUNK] = inside.sum(1).float()
        covered |= inside.any(0)
        recalled |= (distance <= radius[start : start + CHUNK, None]).any(0)
    return {
        "precision": (within > 0).float().mean().item(),
        "recall": recalled.float().mean().item(),
        "density": within.mean().item() / k,
        "coverage": covered.float().mean().item(),
    }


def nearest(features: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """The distance to the nearest of `reference` and its place, (N,) each."""
    found = [torch.cdist(chunk, reference).min(1) for chunk in features.split(CHUNK)]
    return torch.cat([values for values, _ in found]), torch.cat([places for _, places in found])


def near_copies(features: Tensor, training: Tensor, held_out: Tensor) -> tuple[float, float]:
    """The share of samples that lie nearer to a training sample than all but one in a hundred training samples do to
    another one, and the same share of the held-out ones, about 0.01."""
    threshold = _unusually_near(_kth_distance(training, 1))
    found, usual = (nearest(points, training)[0] <= threshold for points in (features, held_out))
    return found.float().mean().item(), usual.float().mean().item()


def near_repeats(features: Tensor, reference: Tensor) -> float:
    """The share of samples that lie nearer to another sample than all but one in a hundred real ones do to another
    real one: about 0.01 for real ones, 1 where a generator repeats itself."""
    threshold = _unusually_near(_kth_distance(reference, 1))
    return (_kth_distance(features, 1) <= threshold).float().mean().item()


def _unusually_near(distances: Tensor) -> Tensor:
    """What one in a hundred falls short of; never much below the usual, as a set may hold its samples twice."""
    return torch.maximum(distances.kthvalue(max(1, len(distances) // 100))[0], 0.1 * distances.median())


def _kth_distance(points: Tensor, k: int) -> Tensor:
    """To the k-th nearest other point, (N,)."""
    return torch.cat([torch.cdist(chunk, points).kthvalue(k + 1, 1)[0] for chunk in points.split(CHUNK)])
