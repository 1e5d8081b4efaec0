"""Two-dimensional points with known modes, to measure mode collapse."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch

from sparring.data.dataset import TensorDataset, digest, number_classes

_COUNT = 50_000
_EXTENT = 0.8  # largest coordinate of a mode's centre
_STD = 0.02
_COVERED = 0.1  # share of N / K samples that a covered mode needs


@dataclass(kw_only=True, eq=False)
class Points(TensorDataset):
    """Points from a mixture of Gaussians with equal weights, without labels; each is a 2-channel 1x1 image.

    `modes` (K, 2) holds the centres and `std` the standard deviation along each axis.
    """

    modes: torch.Tensor
    std: float

    storage: ClassVar[str] = "made on the fly, in memory"


def rings(count: int = _COUNT, seed: int = 0) -> Points:
    """`count` points from 8 Gaussians on a circle."""
    angles = torch.arange(8) * (2 * math.pi / 8)
    return _points("rings", _EXTENT * torch.stack([angles.cos(), angles.sin()], dim=1), count, seed)


def grid(count: int = _COUNT, seed: int = 0) -> Points:
    """`count` points from 25 Gaussians on a 5x5 grid."""
    ticks = torch.linspace(-_EXTENT, _EXTENT, 5)
    return _points("grid", torch.cartesian_prod(ticks, ticks), count, seed)


def mode_coverage(samples: torch.Tensor, modes: torch.Tensor, std: float) -> tuple[int, float]:
    """The number of `modes` (K, 2) that samples cover, and the share of samples within 3 `std` of a mode.

    `samples` are (N, 2) or (N, 2, 1, 1). A mode is covered if at least a tenth of N / K samples are within 3 `std`.
    """
    points = samples.detach().flatten(1).to("cpu", torch.float64)
    if points.shape[1:] != modes.shape[1:]:
        raise ValueError(f"samples of shape {tuple(samples.shape)} are not points like {tuple(modes.shape)}")
    if len(points) == 0:
        return 0, 0.0
    distances = (points[:, None] - modes.to("cpu", torch.float64)).norm(dim=2)
    near = distances <= 3 * std
    fair_share = len(points) / len(modes)
    covered = near.sum(dim=0) >= _COVERED * fair_share
    return int(covered.sum()), float(near.any(dim=1).double().mean())


def _points(name: str, modes: torch.Tensor, count: int, seed: int) -> Points:
    generator = torch.Generator().manual_seed(seed)
    chosen = torch.randint(len(modes), (count,), generator=generator)
    points = modes[chosen] + _STD * torch.randn(count, 2, generator=generator)
    classes, class_names = number_classes(None, count)
    return Points(
        name=name,
        modality="points",
        sample_shape=(2, 1, 1),
        classes=classes,
        class_names=class_names,
        fingerprint=digest(points),
        value_range="float32, about [-1, 1]",
        samples=points.reshape(count, 2, 1, 1),
        modes=modes,
        std=_STD,
    )
