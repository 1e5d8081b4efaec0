"""Close looks at what stands out of a film's background.

A discriminator that sees a thing anywhere in a frame learns slowly what it looks like; seen close up, always in the
middle, it is learnt as quickly as a picture. After the glimpses of Mnih et al. 2014 ("Recurrent models of visual
attention"), whose places are here found by a rule, not learnt.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.codecs.patch import PatchCodec

_WIDE = 0.5  # of the frame's sides
_BELL = 0.11  # of the frame's sides: the deviation of the bell that things are sought with
_REACH = 2  # deviations, beyond which it ends, and within which nothing else is sought
_FAINT = 0.2  # what differs less from the background does not stand out


class CloseLook(NamedTuple):
    """What the discriminator sees close up of B samples, (B · as many as there are, ...)."""

    patches: PatchCodec  # cuts it into tokens
    at_samples: Callable[[Tensor], Tensor]  # of clips the drawn stretches
    at_made: Callable[[Tensor, Tensor | None, Tensor | None], Tensor]
    """Of the generator's tokens, of clips of the frames (B, F), with the samples' noise."""


class Glimpses(nn.Module):
    """`count` parts of a frame, half as high and as wide as it, around what stands out most; `patches` cuts them into
    tokens.

    A thing is where a frame differs most from the background, weighed with a bell; what is close to it is left out
    when the next one is sought.
    """

    def __init__(self, frame_shape: tuple[int, int, int], count: int, patch_size: int, multiple: int) -> None:
        super().__init__()
        channels, *frame = frame_shape
        self.count = count
        self.patches = PatchCodec(
            (channels, *(math.ceil(_WIDE * side) for side in frame)), patch_size, multiple=multiple
        )
        across, down = (_bell(side) for side in reversed(frame))
        self.register_buffer("bell", down[:, None] * across, persistent=False)

    bell: Tensor

    def look(self, frames: Tensor, background: Tensor) -> Tensor:
        """Frames (B, C, H, W) before their background (C, H, W) -> parts of them (B · count, C, h, w). Beyond the
        edge it goes on as at the edge."""
        channels, (height, width) = frames.shape[1], self.patches.sample_shape[1:]
        above, left = height // 2, width // 2
        padded = F.pad(frames, (left, width - left, above, height - above), mode="replicate")
        centres = self.find(frames.detach(), background)
        rows = centres[..., 0, None] + torch.arange(height, device=frames.device)  # (B, count, h)
        columns = centres[..., 1, None] + torch.arange(width, device=frames.device)
        places = rows[..., :, None] * padded.shape[-1] + columns[..., None, :]  # (B, count, h, w)
        parts = padded.flatten(2)[:, None].expand(-1, self.count, -1, -1)
        parts = parts.take_along_dim(places.flatten(2)[:, :, None], -1)
        return parts.reshape(-1, channels, height, width)

    def find(self, frames: Tensor, background: Tensor) -> Tensor:
        """Rows and columns of the centres (B, count, 2)."""
        ink = ((frames - background).abs().mean(1) - _FAINT).clamp_min(0)  # (B, H, W)
        axes = [torch.arange(side, device=ink.device) for side in ink.shape[1:]]
        reach = [side // 2 for side in self.bell.shape]
        found: list[Tensor] = []
        for _ in range(self.count):
            places = F.conv2d(ink[:, None], self.bell[None, None], padding=reach).flatten(1).argmax(1)
            found.append(torch.stack([places // ink.shape[2], places % ink.shape[2]], 1))
            rows, columns = (
                (axis - centre[:, None]).abs() <= most
                for axis, centre, most in zip(axes, found[-1].unbind(1), reach, strict=True)
            )
            ink = ink.masked_fill(rows[:, :, None] & columns[:, None], 0)
        return torch.stack(found, 1)


def _bell(side: int) -> Tensor:
    """Weights of an odd number of pixels, fit for a frame of `side`."""
    deviation = _BELL * side
    reach = round(_REACH * deviation)
    return (-(torch.arange(-reach, reach + 1).float() / deviation).square() / 2).exp()
