"""Frames of a clip that the discriminator looks at, where it does not see all of them at once.

Skorokhodov et al. 2022 (StyleGAN-V): a few frames tell as much of how things move as all of them do, and cost less.
"""

import torch
from torch import Tensor


def draw_stretches(count: int, frames: int, seen: int, generator: torch.Generator) -> Tensor:
    """`seen` of `frames` frames for each of `count` clips (count, seen): any first one, any step that fits."""

    def uniform() -> Tensor:
        return torch.rand(count, generator=generator, device=generator.device)

    step = 1 + (uniform() * longest_step(frames, seen)).long()
    first = (uniform() * (frames - (seen - 1) * step)).long()
    return first[:, None] + step[:, None] * torch.arange(seen, device=generator.device)


def longest_step(frames: int, seen: int) -> int:
    """From one of `seen` frames to the next."""
    return (frames - 1) // (seen - 1)


def take_frames(clips: Tensor, frames: Tensor) -> Tensor:
    """Of clips (B, C, T, ...) the frames (B, F) of each: (B, C, F, ...)."""
    return clips.take_along_dim(frames.view(len(frames), 1, -1, *(1,) * (clips.ndim - 3)), 2)
