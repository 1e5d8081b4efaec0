"""Frame sampling: the discriminator sees a few frames of each clip, at random times."""

from typing import Any

import torch
from torch import Tensor

from sparring.codecs.codec import Codec
from sparring.codecs.patch import Patches
from sparring.critics.view import View
from sparring.settings import ConfigError


# Skorokhodov et al. 2022 (StyleGAN-V), section 3.2
class Frames(View):
    """Samples `frames` frames of clips (B, C, T, ...), equally spaced by a random step.

    A few frames show the motion at a lower cost than all frames.
    """

    separate_frames = True

    def __init__(self, codec: Codec, frames: int, stem: int) -> None:
        super().__init__()
        tokenizer = codec.tokenizer
        if len(codec.latent_shape) != 4 or not isinstance(tokenizer, Patches):
            raise ConfigError("the view frames samples frames of clips in patches: set --codec.name patch")
        channels, length, *sides = codec.latent_shape
        if frames >= length:
            raise ConfigError(f"the view's {frames} frames are all of a clip's {length}: choose fewer")
        self.shape, self.length = (channels, frames, *sides), length
        # The stem convolves each frame separately, so only the grid's sides must be divisible.
        multiple = 2**stem
        self.tokenizer = Patches(self.shape, tokenizer.patch_size, tokenizer.patch_frames, (1, multiple, multiple))

    def draw(self, count: int, generator: torch.Generator) -> Tensor:
        """Frame indices (count, frames)."""
        return sample_frames(count, self.length, self.shape[1], generator)

    def forward(self, samples: Tensor, draw: Any = None) -> Tensor:
        """(B, C, T, ...) -> (B, C, frames, ...); without a draw, the frames are as far apart as fits."""
        if draw is None:
            step = longest_step(self.length, self.shape[1])
            return samples[:, :, ::step][:, :, : self.shape[1]]
        return take_frames(samples, draw)


def sample_frames(count: int, length: int, frames: int, generator: torch.Generator) -> Tensor:
    """Indices (count, frames) of `frames` out of `length` frames: a random step, then a random start that fits."""

    def uniform() -> Tensor:
        return torch.rand(count, generator=generator, device=generator.device)

    step = 1 + (uniform() * longest_step(length, frames)).long()
    first = (uniform() * (length - (frames - 1) * step)).long()
    return first[:, None] + step[:, None] * torch.arange(frames, device=generator.device)


def longest_step(length: int, frames: int) -> int:
    """The largest step between `frames` frames that fits into `length`."""
    return (length - 1) // (frames - 1)


def take_frames(clips: Tensor, frames: Tensor) -> Tensor:
    """Gathers the frames of indices (B, F) from clips (B, C, T, ...): (B, C, F, ...)."""
    return clips.take_along_dim(frames.view(len(frames), 1, -1, *(1,) * (clips.ndim - 3)), 2)
