"""Convolutions between the codec's fine tokens and the transformers' coarse tokens.

The cost of attention grows with the number of tokens, so the transformers work on a grid 2^levels times coarser than
the codec's. A linear map would be enough, but a small transformer learns slowly that neighbouring pixels are related;
convolutions have this bias from the start (Xiao et al. 2021, "Early convolutions help transformers see better").

Shapes: B batch, N fine tokens of C numbers on `grid`, M coarse tokens of width D.
"""

import math
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.models.initialization import initialize_rectified
from sparring.models.positions import Grid

_CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
NEGATIVE_SLOPE = 0.2


def coarse_grid(grid: Grid, levels: int) -> Grid:
    """The grid after `levels` halvings of every axis longer than 1."""
    factor = 2**levels
    if (levels and max(grid) == 1) or any(size > 1 and size % factor for size in grid):
        raise ValueError(
            f"--model.stem {levels} halves the token grid {'×'.join(map(str, grid))} {levels} times, which needs sides "
            f"divisible by {factor}: choose a smaller --model.stem (and --critics.0.stem), or another resolution"
        )
    t, h, w = (max(1, size // factor) for size in grid)
    return t, h, w


class _OnGrid(nn.Module):
    """Turns tokens into a volume without the axes of length 1."""

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.axes = [size for size in grid if size > 1] or [1]
        self.convolution = _CONVOLUTIONS[len(self.axes)]

    def to_volume(self, tokens: Tensor) -> Tensor:
        return tokens.transpose(1, 2).unflatten(2, self.axes)


class Stem(_OnGrid):
    """Fine tokens (B, N, C) to coarse tokens (B, M, D) by overlapping convolutions of stride 2.

    With several `frames`, (B, frames · N, C), each frame is convolved separately, and the features at one position are
    concatenated over frames.
    """

    def __init__(self, grid: Grid, token_dim: int, width: int, *, levels: int, channels: int, frames: int = 1) -> None:
        super().__init__(grid)
        self.frames = frames
        sizes = [token_dim, *(channels * 2**level for level in range(levels))]
        self.convolutions = nn.ModuleList(self.convolution(a, b, 4, 2, padding=1) for a, b in pairwise(sizes))
        self.project = nn.Linear(frames * sizes[-1], width)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.to_volume(tokens.unflatten(1, (self.frames, -1)).flatten(0, 1))
        for convolution in self.convolutions:
            x = F.leaky_relu(convolution(x), NEGATIVE_SLOPE)
        x = x.flatten(2).unflatten(0, (-1, self.frames))  # (B, frames, C, M)
        return self.project(x.permute(0, 3, 1, 2).flatten(2))


def blur(volume: Tensor) -> Tensor:
    """Filters a volume (B, C, ...) with (1, 2, 1) / 4 along every axis; edges are repeated."""
    for axis in range(2, volume.ndim):
        size = volume.shape[axis]
        before = torch.cat([volume.narrow(axis, 0, 1), volume.narrow(axis, 0, size - 1)], axis)
        after = torch.cat([volume.narrow(axis, 1, size - 1), volume.narrow(axis, size - 1, 1)], axis)
        volume = volume / 2 + (before + after) / 4
    return volume


class _Doubling(nn.Module):
    """Upsamples a volume (B, C, ...) by 2 along every axis: sub-pixel convolution, blur, convolution.

    The blur follows the upsampling in Karras et al. 2019; without it a grid stays visible in the samples.
    """

    def __init__(self, axes: int, channels_in: int, channels: int) -> None:
        super().__init__()
        convolution = _CONVOLUTIONS[axes]
        self.shape = (channels, *(2,) * axes)
        self.spread = convolution(channels_in, math.prod(self.shape), 1)
        self.smooth = convolution(channels, channels, 3, padding=1)

    def forward(self, volume: Tensor) -> Tensor:
        n, sizes = len(self.shape) - 1, volume.shape[2:]
        x = self.spread(volume).unflatten(1, self.shape)  # (B, c, 2, 2, h, w)
        x = x.permute(0, 1, *(axis for i in range(n) for axis in (2 + n + i, 2 + i)))  # (B, c, h, 2, w, 2)
        x = x.reshape(x.shape[0], self.shape[0], *(2 * size for size in sizes))
        return F.leaky_relu(self.smooth(F.leaky_relu(blur(x), NEGATIVE_SLOPE)), NEGATIVE_SLOPE)


class Head(_OnGrid):
    """Coarse tokens (B, M, D) to fine tokens (B, N, C): the inverse of the stem, with one doubling a level."""

    def __init__(self, grid: Grid, width: int, token_dim: int, *, levels: int, channels: int) -> None:
        super().__init__(grid)
        self.coarse = [size // 2**levels for size in self.axes]
        sizes = [width, *(channels * 2**level for level in reversed(range(levels)))]
        self.doublings = nn.Sequential(*(_Doubling(len(self.axes), a, b) for a, b in pairwise(sizes)))
        # Large patches need no neighbours, and a kernel of 3 would make this the most expensive layer.
        kernel = 3 if token_dim <= channels else 1
        self.to_token = self.convolution(channels, token_dim, kernel, padding=kernel // 2)
        initialize_rectified(self, NEGATIVE_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        volume = self.doublings(x.transpose(1, 2).unflatten(2, self.coarse))
        return self.to_token(volume).flatten(2).transpose(1, 2)
