"""Sampling: z from seeds, the mean of w for truncation, interpolation in z."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sparring.data.order import derive_seed
from sparring.models.generator import Generator

MEAN_SAMPLES, FEW_MEAN_SAMPLES = 1_000, 128
"""Number of z that the mean of w averages over; few if each sample has its own condition."""


def draw_z(num: int, size: int, *, seed: int, start: int = 0) -> Tensor:
    """z (num, size) of the samples `start` to `start + num` of a seed, each from its own random stream."""
    rows = []
    for index in range(start, start + num):
        generator = torch.Generator().manual_seed(derive_seed(seed, "z", index))
        rows.append(torch.randn(size, generator=generator))
    return torch.stack(rows)


@torch.inference_mode()
def mean_w(generator: Generator, condition: Tensor) -> Tensor:
    """The mean of w over z under each condition, (B, ...) -> (B, width), for truncation."""
    if condition.is_floating_point():
        z = draw_z(FEW_MEAN_SAMPLES, generator.z_dim, seed=0).to(condition.device)
        return mean_of_each(generator, z, condition)
    distinct, place = condition.unique(dim=0, return_inverse=True)
    z = draw_z(MEAN_SAMPLES, generator.z_dim, seed=0).to(condition.device)
    means = [generator.mapping(z, one.expand(MEAN_SAMPLES, *one.shape)).mean(0) for one in distinct]
    return torch.stack(means)[place]


def mean_of_each(generator: Generator, z: Tensor, condition: Tensor) -> Tensor:
    """The mean of w over z (S, z_dim) under each condition (B, K): (B, width)."""
    count, each = condition.shape[0], z.shape[0]
    pairs = z.expand(count, -1, -1).flatten(0, 1), condition[:, None].expand(-1, each, -1).flatten(0, 1)
    return generator.mapping(*pairs).unflatten(0, (count, each)).mean(1)


def interpolate(steps: int, num: int, size: int, *, seed: int, stops: int = 4) -> Iterator[Tensor]:
    """A closed interpolation through `stops` draws of z: `steps` times (num, size), each standard normal."""
    anchors = [draw_z(num, size, seed=seed, start=stop * num) for stop in range(stops)]
    for step in range(steps):
        place, t = divmod(step * stops / steps, 1)
        yield between(anchors[int(place)], anchors[(int(place) + 1) % stops], t)


def between(start: Tensor, end: Tensor, t: float) -> Tensor:
    """Interpolates from z `start` at t = 0 to `end` at t = 1.

    For two independent draws, cos(a) z1 + sin(a) z2 is again standard normal; a linear interpolation is not.
    """
    if t == 1:  # cos(π / 2) is not exactly 0
        return end
    return math.cos(t * math.pi / 2) * start + math.sin(t * math.pi / 2) * end
