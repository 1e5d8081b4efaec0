"""The shapes of tracked digits, and whether they keep them."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .tracking import CELLS, cells_of, grid_of, ink_of

PATCH = 28 / 64  # of the frame's side, what a digit is drawn into
MASS = (0.75, 1.25)  # of the clip's median
HIDDEN_MASS = 0.6  # of the clip's median, where one digit may hide a part of the other
LIKENESS = 0.7  # correlation with the clip's median picture
JUDGED = 2  # trusted frames let a clip be judged


def persistent(clips: Tensor, positions: Tensor, trusted: Tensor) -> Tensor:
    """Which of `clips` (B, 1, T, H, W), tracked by `track`, show the same digits from first to last: a mask (B,).

    In every trusted frame the ink must be within 25% of the clip's median, and the picture around each centre must
    correlate with the clip's median picture by at least 0.7. In the others, where a digit may hide a part of another,
    60% to 125% of the ink must be there. A clip of which fewer than two frames are trusted does not pass.
    """
    ink = ink_of(clips)
    return persistent_of(ink, trusted, *shapes_of(ink, positions, trusted))


def persistent_of(ink: Tensor, trusted: Tensor, patches: Tensor, typical: Tensor) -> Tensor:
    """The same of the clips' `ink_of` and `shapes_of`."""
    mass = ink.sum(dim=(2, 3))
    share = mass / _median(mass, trusted)[:, None].clamp_min(1e-6)
    least = torch.where(trusted, MASS[0], HIDDEN_MASS if patches.shape[1] > 1 else MASS[0])
    steady = ((share >= least) & (share <= MASS[1])).all(dim=1)
    alike = (_correlation(patches, typical) >= LIKENESS) | ~trusted[:, None]
    return steady & alike.all(dim=2).all(dim=1) & can_be_judged(trusted)


def shapes_of(ink: Tensor, positions: Tensor, trusted: Tensor) -> tuple[Tensor, Tensor]:
    """The ink (B, T, H, W) around each position (B, digits, T, side * side), and each digit's median over the trusted
    frames (B, digits, side * side)."""
    patches = _patches(cells_of(ink, CELLS), positions)
    if positions.shape[1] == 2:
        patches = _matched(patches, positions, trusted)
    return patches, _median(patches.transpose(2, 3), trusted[:, None, None])


def can_be_judged(trusted: Tensor) -> Tensor:
    """Whether enough frames of each clip are trusted (B,)."""
    return trusted.sum(dim=1) >= min(JUDGED, trusted.shape[1])


def _patches(ink: Tensor, positions: Tensor) -> Tensor:
    """The ink around each position: (B, digits, T, side * side), without what is nearer to the other digit."""
    batch, digits, frames, _ = positions.shape
    side = max(4, round(PATCH * ink.shape[-1]))
    offsets = (grid_of(side, side) - 0.5) * PATCH  # (side * side, 2)
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
    """The correlation of `patches` (B, digits, T, P) with the typical one of each digit (B, digits, P)."""
    deviation = patches - patches.mean(dim=-1, keepdim=True)
    expected = (typical - typical.mean(dim=-1, keepdim=True))[:, :, None]
    return F.cosine_similarity(deviation, expected, dim=-1)


def _median(values: Tensor, trusted: Tensor) -> Tensor:
    """The median over the trusted frames, the last dimension; over all where none is trusted."""
    counted = trusted | ~trusted.any(dim=-1, keepdim=True)
    return values.where(counted, torch.nan).nanmedian(dim=-1).values
