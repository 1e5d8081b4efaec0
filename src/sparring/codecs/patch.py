"""Patches, and the codec without weights whose latents are the samples."""

import math

import torch.nn.functional as F
from torch import Tensor

from sparring.codecs.codec import Codec
from sparring.codecs.tokenizer import Tokenizer
from sparring.models.positions import Grid


class Patches(Tokenizer):
    """Cuts samples (B, C, *axes), one to three axes, into tokens (B, N, token_dim) on a grid (T, H, W).

    A patch covers `patch_size` elements of every axis longer than 1; `patch_frames` replaces it on a clip's time axis.
    Each axis is padded to a `multiple` of patches (one number, or one for each of T, H, W) by repeating its end;
    `unpatchify` removes the padding.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        patch_size: int,
        patch_frames: int | None = None,
        multiple: int | Grid = 1,
    ) -> None:
        super().__init__()
        channels, *axes = sample_shape
        if not 1 <= len(axes) <= 3:
            raise ValueError(f"a sample has channels and one to three axes, not the shape {sample_shape}")
        patches = [1 if size == 1 else patch_size for size in axes]
        if patch_frames is not None:
            if len(axes) != 3:
                raise ValueError("--codec.patch_frames has no effect on samples without frames: drop it")
            if patch_frames > axes[0]:
                raise ValueError(
                    f"--codec.patch_frames {patch_frames} is more than a clip's frames: choose at most {axes[0]}"
                )
            patches[0] = patch_frames
        sides = axes if patch_frames is None else axes[1:]
        if patch_size > max(sides) > 1:
            raise ValueError(
                f"--codec.patch_size {patch_size} is larger than {'×'.join(map(str, sides))}: "
                f"choose at most {max(sides)}"
            )
        multiples: Grid = (multiple,) * 3 if isinstance(multiple, int) else multiple
        self.sample_shape, self.patch_size, self.patch_frames = sample_shape, patch_size, patch_frames
        self.axes, self.patch = _as_volume(axes), _as_volume(patches)
        cells = [math.ceil(size / patch) for size, patch in zip(self.axes, self.patch, strict=True)]
        t, h, w = (
            1 if count == 1 else multiple * math.ceil(count / multiple)
            for count, multiple in zip(cells, multiples, strict=True)
        )
        self.grid = (t, h, w)
        covered = (count * patch for count, patch in zip(self.grid, self.patch, strict=True))
        self.padding = tuple(wide - size for wide, size in zip(covered, self.axes, strict=True))
        self.token_dim = channels * math.prod(self.patch)

    def patchify(self, samples: Tensor) -> Tensor:
        """(B, C, *axes) -> (B, N, token_dim)."""
        # shape[0], not len(): with len() an exported network is fixed to the example's batch size
        x = samples.reshape(samples.shape[0], -1, *self.axes)
        if any(self.padding):
            x = F.pad(x, [width for more in reversed(self.padding) for width in (0, more)], mode="replicate")
        for axis, patch in enumerate(self.patch):
            x = x.unfold(2 + axis, patch, patch)  # finally (B, C, gT, gH, gW, pT, pH, pW)
        return x.permute(0, 2, 3, 4, 1, 5, 6, 7).reshape(samples.shape[0], -1, self.token_dim)

    def unpatchify(self, tokens: Tensor) -> Tensor:
        """(B, N, token_dim) -> (B, C, *axes)."""
        x = tokens.reshape(tokens.shape[0], *self.grid, -1, *self.patch)
        for axis in (2, 1, 0):  # W, H, T: grid and patch axes are merged and moved behind C
            x = x.movedim((1 + axis, axis - 3), (-2, -1)).flatten(-2)
        x = x.permute(0, 1, 4, 3, 2)
        if any(self.padding):
            x = x[:, :, : self.axes[0], : self.axes[1], : self.axes[2]]
        return x.reshape(tokens.shape[0], *self.sample_shape)


class PatchCodec(Codec):
    """The identity as a codec: latents are the samples, cut into `Patches`."""

    identity = True

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        patch_size: int,
        *,
        patch_frames: int | None = None,
        multiple: int | Grid = 1,
        bounded: bool = True,
    ) -> None:
        super().__init__()
        self.sample_shape = self.latent_shape = sample_shape
        self.tokenizer = Patches(sample_shape, patch_size, patch_frames, multiple)
        self.bounded = bounded

    def encode(self, samples: Tensor) -> Tensor:
        return samples

    def decode(self, latents: Tensor) -> Tensor:
        return latents


def _as_volume(sizes: list[int]) -> Grid:
    """Series (T,), images (H, W) and videos (T, H, W) as (T, H, W)."""
    t, h, w = {1: [*sizes, 1, 1], 2: [1, *sizes], 3: sizes}[len(sizes)]
    return t, h, w
