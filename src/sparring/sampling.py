"""Where samples come from: seeds, truncation, walks through z."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from sparring.data.order import derive_seed
from sparring.models.generator import Generator

MEAN_SAMPLES, FEW_MEAN_SAMPLES = 1_000, 128
"""z of which w is the mean; few where each sample has a condition of its own."""


def draw_z(num: int, size: int, *, seed: int, start: int = 0) -> Tensor:
    """z of the samples `start` to `start + num` of a seed, (num, size): each from a stream of its own."""
    rows = []
    for index in range(start, start + num):
        generator = torch.Generator().manual_seed(derive_seed(seed, "z", index))
        rows.append(torch.randn(size, generator=generator))
    return torch.stack(rows)


@torch.inference_mode()
def mean_w(generator: Generator, condition: Tensor) -> Tensor:
    """The mean of w over z under each condition, (B, ...) -> (B, width); truncation pulls toward it."""
    if condition.is_floating_point():
        z = draw_z(FEW_MEAN_SAMPLES, generator.z_dim, seed=0).to(condition.device)
        return mean_of_each(generator, z, condition)
    distinct, place = condition.unique(dim=0, return_inverse=True)
    z = draw_z(MEAN_SAMPLES, generator.z_dim, seed=0).to(condition.device)
    means = [generator.mapping(z, one.expand(MEAN_SAMPLES, *one.shape)).mean(0) for one in distinct]
    return torch.stack(means)[place]


def mean_of_each(generator: Generator, z: Tensor, condition: Tensor) -> Tensor:
    """The mean of w over z (S, z_dim) under each of the conditions (B, K): (B, width)."""
    count, each = condition.shape[0], z.shape[0]
    pairs = z.expand(count, -1, -1).flatten(0, 1), condition[:, None].expand(-1, each, -1).flatten(0, 1)
    return generator.mapping(*pairs).unflatten(0, (count, each)).mean(1)


def interpolate(steps: int, num: int, size: int, *, seed: int, stops: int = 4) -> Iterator[Tensor]:
    """A closed walk through `stops` draws of z: `steps` times (num, size), each standard normal."""
    anchors = [draw_z(num, size, seed=seed, start=stop * num) for stop in range(stops)]
    for step in range(steps):
        place, t = divmod(step * stops / steps, 1)
        yield between(anchors[int(place)], anchors[(int(place) + 1) % stops], t)


def between(here: Tensor, there: Tensor, t: float) -> Tensor:
    """The way from one z to another, `here` at 0 and `there` at 1.

    Of two independent draws, cos(a) z1 + sin(a) z2 keeps the distribution, unlike a straight line.
    """
    if t == 1:  # cos(π / 2) is not quite 0
        return there
    return math.cos(t * math.pi / 2) * here + math.sin(t * math.pi / 2) * there
