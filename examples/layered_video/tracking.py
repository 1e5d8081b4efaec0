"""Where the digits of clips are, found from their pixels alone."""

import torch
import torch.nn.functional as F
from torch import Tensor

INK = 0.25  # darker pixels are background
APART = 0.33  # of the frame's side: digits whose centres are closer may overlap
CELLS = 32  # a side, on which digits are told apart and compared
ITERATIONS = 8


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
    ink = ink_of(clips)
    if num_digits == 1:
        centres, mass = _centre(ink.flatten(2), grid_of(*ink.shape[-2:]))
        return centres[:, None], mass > 0
    pairs = _two_means(ink)
    apart = (pairs[:, 0] - pairs[:, 1]).norm(dim=-1) >= APART
    return _in_order(pairs, apart), apart


def ink_of(clips: Tensor) -> Tensor:
    """(B, T, H, W) in 0..1, the background at 0."""
    ink = (clips[:, 0] + 1) / 2
    return torch.where(ink > INK, ink, 0)


def grid_of(height: int, width: int) -> Tensor:
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
    coarse = cells_of(ink, CELLS // 2)
    grid = grid_of(*coarse.shape[-2:])
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
    centres = _lloyd(coarse, centre - offset, centre + offset, ITERATIONS - 2)
    return torch.stack(_lloyd(cells_of(ink, CELLS), *centres, 2), dim=1)


def _lloyd(cells: Tensor, first: Tensor, second: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Moves two centres (B, T, 2) to the centres of mass of what is nearer to each than to the other."""
    grid = grid_of(*cells.shape[-2:])
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


def cells_of(ink: Tensor, cells: int) -> Tensor:
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
