"""A view of salient crops: things that stand out of the background, always in the middle of what is seen.

A discriminator that sees a thing anywhere in a frame is slow to learn its shape; in a crop it is learnt as quickly as a
picture. Crops follow Mnih et al. 2014 ("Recurrent models of visual attention"), but a rule finds their places.
"""

import math
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.codecs.codec import Codec
from sparring.codecs.patch import Patches
from sparring.critics.frames import take_frames
from sparring.critics.settings import CriticSettings, register_view
from sparring.critics.view import View
from sparring.settings import ConfigError, setting

from .layers import LayerCodec

SIDE = 0.5  # of a crop, as a share of the frame's side
BELL = 0.11  # of the frame's side: deviation of the Gaussian that salience is smoothed with
RADIUS = 2  # deviations, beyond which it ends, and within which no second crop is centred
FAINT = 0.2  # smaller differences from the background do not count


@register_view
class CropSettings(CriticSettings):
    """Crops around what differs most from the background."""

    view: Literal["crops"] = "crops"
    crops: int = setting(2, "salient crops of a frame, each seen by itself", ge=1, le=64)

    def build(self, codec: Codec, stem: int) -> "Crops":
        if not isinstance(codec, LayerCodec):
            raise ConfigError("the view crops needs a known background: set --codec.name layers")
        return Crops(codec, self.crops, stem)


class Crops(View):
    """`crops` parts of one random frame, half as high and wide as it. Gradients reach the pictures alone: a crop
    follows its thing, so it says nothing about paths."""

    def __init__(self, codec: LayerCodec, crops: int, stem: int) -> None:
        super().__init__()
        channels, self.length, *frame = codec.sample_shape
        self.crops = crops
        self.shape = (channels, *(math.ceil(SIDE * side) for side in frame))
        self.tokenizer: Patches = Patches(self.shape, codec.tokenizer.patch_size, multiple=2**stem)
        self._codec = lambda: codec  # no submodule: its state is the codec's own
        down, across = (_bell(side) for side in frame)
        self.register_buffer("bell", down[:, None] * across, persistent=False)

    bell: Tensor

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """One frame's number for each clip (count, 1)."""
        return torch.randint(self.length, (count, 1), generator=generator, device=generator.device)

    def forward(self, samples: Tensor, draw: Any = None) -> Tensor:
        """(B, C, T, H, W) -> (B · crops, C, h, w); without a draw, of the first frame."""
        if draw is None:
            return self.crop(samples[:, :, 0])
        return self.crop(samples[torch.arange(len(samples), device=samples.device), :, draw[:, 0]])

    def of_fakes(self, fakes: Tensor, tokens: Tensor, draw: Any = None) -> Tensor:
        codec, frames = self._codec(), tokens.new_zeros(len(tokens), 1).long() if draw is None else draw
        pictures, paths = codec.pictures_and_paths(tokens)
        drawn = codec.render(pictures, paths.detach(), frames)
        shown = take_frames(fakes, frames).detach() + (drawn - drawn.detach())  # the fakes, with the pictures' gradient
        return self.crop(shown[:, :, 0])

    def crop(self, frames: Tensor) -> Tensor:
        """Frames (B, C, H, W) -> (B · crops, C, h, w); edges are repeated beyond the frame."""
        channels, (height, width) = frames.shape[1], self.shape[1:]
        above, left = height // 2, width // 2
        padded = F.pad(frames, (left, width - left, above, height - above), mode="replicate")
        centres = self.centres(frames.detach())
        rows = centres[..., 0, None] + torch.arange(height, device=frames.device)  # (B, crops, h)
        columns = centres[..., 1, None] + torch.arange(width, device=frames.device)
        places = rows[..., :, None] * padded.shape[-1] + columns[..., None, :]  # (B, crops, h, w)
        parts = padded.flatten(2)[:, None].expand(-1, self.crops, -1, -1)
        parts = parts.take_along_dim(places.flatten(2)[:, :, None], -1)
        return parts.reshape(-1, channels, height, width)

    def centres(self, frames: Tensor) -> Tensor:
        """Rows and columns of the crops' centres (B, crops, 2): where the frame differs most from the background."""
        salience = ((frames - self._codec().background[:, 0]).abs().mean(1) - FAINT).clamp_min(0)  # (B, H, W)
        axes = [torch.arange(side, device=frames.device) for side in salience.shape[1:]]
        radius = [side // 2 for side in self.bell.shape]
        found: list[Tensor] = []
        for _ in range(self.crops):
            places = F.conv2d(salience[:, None], self.bell[None, None], padding=radius).flatten(1).argmax(1)
            found.append(torch.stack([places // salience.shape[2], places % salience.shape[2]], 1))
            rows, columns = (
                (axis - centre[:, None]).abs() <= most
                for axis, centre, most in zip(axes, found[-1].unbind(1), radius, strict=True)
            )
            salience = salience.masked_fill(rows[:, :, None] & columns[:, None], 0)
        return torch.stack(found, 1)


def _bell(side: int) -> Tensor:
    """Gaussian weights of an odd number of pixels, for a frame of `side`."""
    deviation = BELL * side
    radius = round(RADIUS * deviation)
    return (-(torch.arange(-radius, radius + 1).float() / deviation).square() / 2).exp()
