"""Positions of tokens on a grid (T, H, W): rotary, sinusoidal or learned."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Grid = tuple[int, int, int]


def grid_coordinates(grid: Grid) -> Tensor:
    """Integer coordinates of every token, (T·H·W, 3), last axis fastest."""
    return torch.cartesian_prod(*(torch.arange(size) for size in grid)).view(-1, 3)


# Vaswani et al. 2017, section 3.5, applied to each axis separately
def sinusoidal_positions(grid: Grid, width: int, *, base: float = 10_000.0) -> Tensor:
    """Sines and cosines of the coordinates, (T·H·W, width); the width is shared among the axes longer than 1.

    An axis with d numbers has PE(pos, 2i) = sin(pos / base^(2i/d)) and PE(pos, 2i+1) = cos(pos / base^(2i/d)).
    """
    positions = torch.zeros(math.prod(grid), width)
    start = 0
    for axis, share in _shares(grid, width):
        frequencies = base ** (-torch.arange(0, share, 2, dtype=torch.float32) / share)
        angles = grid_coordinates(grid)[:, axis, None] * frequencies
        positions[:, start : start + share : 2] = angles.sin()
        positions[:, start + 1 : start + share : 2] = angles.cos()
        start += share
    return positions


# Su et al. 2021 (RoPE), eq. 15, with the pairs of a head shared among the grid's axes (Heo et al. 2024)
def rotary_angles(grid: Grid, head_width: int, *, base: float = 100.0) -> Tensor:
    """Cosine and sine of every token's rotation, (2, T·H·W, head_width / 2).

    Unused pairs are not rotated. The base is small because the axes of a token grid are short.
    """
    angles = torch.zeros(math.prod(grid), head_width // 2)
    start = 0
    for axis, share in _shares(grid, head_width):
        pairs = share // 2
        frequencies = base ** (-torch.arange(pairs, dtype=torch.float32) / pairs)
        angles[:, start : start + pairs] = grid_coordinates(grid)[:, axis, None] * frequencies
        start += pairs
    return torch.stack([angles.cos(), angles.sin()])


def rotate(x: Tensor, rotary: Tensor) -> Tensor:
    """Rotates the pairs (x_i, x_{i + D/2}) of (..., N, D) by the angles of (2, N, D/2).

    Leading tokens without a position (a class token) are not rotated.
    """
    cos, sin = rotary.to(x.dtype)
    if extra := x.shape[-2] - cos.shape[0]:
        cos, sin = F.pad(cos, (0, 0, extra, 0), value=1.0), F.pad(sin, (0, 0, extra, 0))
    cos, sin = torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)  # (N, D)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)


def _shares(grid: Grid, width: int) -> list[tuple[int, int]]:
    """An even number of channels for each axis longer than 1."""
    axes = [axis for axis, size in enumerate(grid) if size > 1]
    return [(axis, width // (2 * len(axes)) * 2) for axis in axes]


class Positions(nn.Module):
    """Adds position embeddings to the tokens ("learned", "sinusoidal" or "none"), and holds the rotary angles."""

    rotary: Tensor | None

    def __init__(self, grid: Grid, width: int, head_width: int, *, added: str, rotary: bool) -> None:
        super().__init__()
        self.added: Tensor | None
        if added == "learned":
            self.added = nn.Parameter(0.5 * torch.randn(math.prod(grid), width))
        else:
            sinusoidal = sinusoidal_positions(grid, width) if added == "sinusoidal" else None
            self.register_buffer("added", sinusoidal, persistent=False)
        self.register_buffer("rotary", rotary_angles(grid, head_width) if rotary else None, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x if self.added is None else x + self.added
