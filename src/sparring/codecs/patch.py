"""Pixels cut into patches: the codec without weights."""

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.codecs.stretches import draw_stretches, longest_step, take_frames
from sparring.models.positions import Grid

if TYPE_CHECKING:
    from sparring.codecs.glimpses import CloseLook


class PatchCodec(nn.Module):
    """Samples (B, C, *axes), one to three axes, to tokens (B, N, token_dim) on a grid (T, H, W), and back.

    A patch covers `patch_size` elements of every axis but those of length 1, plus `overlap` more on each side; of a
    clip's frames it covers `patch_frames`, without overlap, if that is given. Where patches overlap, `decode` blends
    them with weights that fall linearly and sum to one, so `decode(encode(x)) == x`. An axis that does not come out
    even, in a `multiple` of patches (of all axes or each axis' own), is prolonged by repeating its end, which `decode`
    cuts off.

    Of a clip's frames the discriminator sees `seen_frames` at a time, cut by the codec `seen`; unset, all.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        patch_size: int,
        overlap: int = 0,
        patch_frames: int | None = None,
        multiple: int | Grid = 1,
        seen_frames: int | None = None,
    ) -> None:
        super().__init__()
        channels, *axes = sample_shape
        if not 1 <= len(axes) <= 3:
            raise ValueError(f"a sample has one to three axes beside its channels, not the shape {sample_shape}")
        patches = [1 if size == 1 else patch_size for size in axes]
        if patch_frames is not None:
            if len(axes) != 3:
                raise ValueError("--codec.patch_frames has no effect on samples without frames: drop it")
            if patch_frames > axes[0]:
                raise ValueError(
                    f"--codec.patch_frames {patch_frames} is more than a clip has: choose at most {axes[0]}"
                )
            patches[0] = patch_frames
        multiples: Grid = (multiple,) * 3 if isinstance(multiple, int) else multiple
        self._seen: PatchCodec | None = None
        if seen_frames is not None:
            if len(axes) != 3:
                raise ValueError("--codec.seen_frames has no effect on samples without frames: drop it")
            if seen_frames >= axes[0]:
                raise ValueError(f"--codec.seen_frames {seen_frames} is all of a clip's {axes[0]}: choose fewer")
            shape = (channels, seen_frames, *axes[1:])
            # Its frames are looked at one by one, so their number is none that has to be halved.
            self._seen = PatchCodec(shape, patch_size, overlap, patch_frames, (1, *multiples[1:]))
        sides = axes if patch_frames is None else axes[1:]
        if patch_size > max(sides) > 1:
            raise ValueError(
                f"--codec.patch_size {patch_size} is larger than {'×'.join(map(str, sides))}: "
                f"choose at most {max(sides)}"
            )
        if overlap > patch_size // 2:
            raise ValueError(
                f"--codec.overlap {overlap} is more than half the patch size {patch_size}: "
                f"choose at most {patch_size // 2}"
            )
        self.sample_shape, self.patch_size = sample_shape, patch_size
        self.axes = _as_volume(axes)
        self.patch = _as_volume(patches)
        self.overlap = tuple(0 if size == 1 else overlap for size in self.axes)
        if patch_frames is not None:
            self.overlap = (0, *self.overlap[1:])
        cells = [math.ceil(size / patch) for size, patch in zip(self.axes, self.patch, strict=True)]
        t, h, w = (
            1 if count == 1 else multiple * math.ceil(count / multiple)
            for count, multiple in zip(cells, multiples, strict=True)
        )
        self.grid: Grid = (t, h, w)
        covered = (count * patch for count, patch in zip(self.grid, self.patch, strict=True))
        self.beyond = tuple(wide - size for wide, size in zip(covered, self.axes, strict=True))
        self.extent = tuple(patch + 2 * more for patch, more in zip(self.patch, self.overlap, strict=True))
        self.token_dim = channels * math.prod(self.extent)
        window = math.prod(_ramps(self.extent, self.overlap), start=torch.ones(()))  # (eT, eH, eW)
        weights = self._join(window.expand(1, *self.grid, 1, *self.extent))
        self.register_buffer("window", window, persistent=False)
        self.register_buffer("total_weight", weights, persistent=False)

    window: Tensor
    total_weight: Tensor

    # What the GAN is trained on, and what cuts that into tokens: here the samples, and the codec itself.
    @property
    def latent_shape(self) -> tuple[int, ...]:
        return self.sample_shape

    @property
    def patches(self) -> "PatchCodec":
        return self

    # What the discriminator sees, and what cuts that into tokens.
    @property
    def seen(self) -> "PatchCodec":
        return self._seen or self

    def draw_stretches(self, count: int, generator: torch.Generator) -> Tensor | None:
        """The frames (count, F) that it sees of so many clips this time; None where it sees all there is."""
        if self._seen is None:
            return None
        return draw_stretches(count, self.axes[0], self._seen.axes[0], generator)

    def look(self, samples: Tensor) -> Tensor:
        """Samples, of clips the drawn stretches or all frames, to the tokens that the discriminator sees: (B, N,
        token_dim). Of all frames it sees some, evenly apart."""
        if self._seen is not None and samples.shape[2] == self.axes[0]:
            step = longest_step(self.axes[0], self._seen.axes[0])
            samples = samples[:, :, ::step][:, :, : self._seen.axes[0]]
        return self.seen.encode(samples)

    # What it also sees close up, a part of a sample at a time: here nothing.
    @property
    def close(self) -> "CloseLook | None":
        return None

    # What the generator makes: the tokens of a whole sample, all at once.
    num_layers: int = 1
    path_tokens: int = 0

    @property
    def canvas(self) -> "PatchCodec":
        return self

    def compress(self, samples: Tensor) -> Tensor:
        return samples

    def expand(self, latents: Tensor) -> Tensor:
        return latents

    def encode(self, samples: Tensor) -> Tensor:
        """(B, C, *axes) -> (B, N, token_dim)."""
        # shape[0], not len(): an exported network would keep the example's batch size for good
        x = samples.reshape(samples.shape[0], -1, *self.axes)
        around = [(overlap, overlap + more) for overlap, more in zip(self.overlap, self.beyond, strict=True)]
        padding = [width for axis in reversed(around) for width in axis]
        if any(padding):
            x = F.pad(x, padding, mode="replicate")
        for axis, (extent, patch) in enumerate(zip(self.extent, self.patch, strict=True)):
            x = x.unfold(2 + axis, extent, patch)  # (B, C, gT, gH, gW, eT, eH, eW) in the end
        return x.permute(0, 2, 3, 4, 1, 5, 6, 7).reshape(samples.shape[0], -1, self.token_dim)

    def decode(self, tokens: Tensor, frames: Tensor | None = None) -> Tensor:
        """(B, N, token_dim) -> (B, C, *axes), of clips only the `frames` (B, F) if those are given."""
        x = tokens.reshape(tokens.shape[0], *self.grid, -1, *self.extent)
        x = self._join(x * self.window) / self.total_weight if any(self.overlap) else self._join(x)
        if any(self.beyond):
            x = x[:, :, : self.axes[0], : self.axes[1], : self.axes[2]]
        x = x.reshape(tokens.shape[0], *self.sample_shape)
        return x if frames is None else take_frames(x, frames)

    def error(self, samples: Tensor, back: Tensor) -> float:
        """The mean squared error."""
        return (back - samples).square().mean().item()

    def _join(self, x: Tensor) -> Tensor:
        """Adds patches (B, gT, gH, gW, C, eT, eH, eW) up where they lie: (B, C, T, H, W)."""
        for axis in (2, 1, 0):  # W, H, T; the axis' grid and extent become one axis behind C
            x = x.movedim((1 + axis, axis - 3), (-2, -1))
            x = _overlap_add(x, self.patch[axis], self.overlap[axis])
        return x.permute(0, 1, 4, 3, 2)


def _as_volume(sizes: list[int]) -> tuple[int, int, int]:
    """Series (T,), images (H, W) and videos (T, H, W) as (T, H, W)."""
    t, h, w = {1: [*sizes, 1, 1], 2: [1, *sizes], 3: sizes}[len(sizes)]
    return t, h, w


def _overlap_add(x: Tensor, patch: int, overlap: int) -> Tensor:
    """(..., G, patch + 2 overlap) -> (..., G * patch): patches lie `patch` apart, the ends are cut off."""
    head = x[..., :patch].flatten(-2)
    if overlap == 0:
        return head
    tail = F.pad(x[..., patch:], (0, patch - 2 * overlap)).flatten(-2)
    return (F.pad(head, (0, patch)) + F.pad(tail, (patch, 0)))[..., overlap : overlap + head.shape[-1]]


def _ramps(extents: tuple[int, ...], overlaps: tuple[int, ...]) -> list[Tensor]:
    """Per axis a trapezoid of `extent` weights with flanks 2 overlap wide, shaped to multiply out to (eT, eH, eW)."""
    ramps = []
    for axis, (extent, overlap) in enumerate(zip(extents, overlaps, strict=True)):
        place = torch.arange(extent) + 0.5
        ramp = (torch.minimum(place, extent - place) / (2 * overlap)).clamp(max=1) if overlap else torch.ones(extent)
        ramps.append(ramp.view([-1 if other == axis else 1 for other in range(3)]))
    return ramps
