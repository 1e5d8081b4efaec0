"""What the discriminator sees of samples, where it does not see all of them at once.

Of a clip a few frames, which tell as much of how things move as all of them do, and cost less (Skorokhodov et al. 2022,
StyleGAN-V). Of frames and pictures either all, but coarser, or a part as it is (Chai et al. 2022, "Any-resolution
training"): how things lie to one another, and how they are drawn.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class View:
    """One draw for B samples."""

    frames: Tensor | None = None
    """Of clips those that are seen, (B, F); None: all."""
    corners: Tensor | None = None
    """Row and column where the part that is seen begins, (B, 2); -1 and -1: all is, but coarser. None: all as it is."""
    scale: int = 1
    """How many times smaller than the sample's sides those of what is seen are."""

    def __getitem__(self, chosen: slice) -> "View":
        frames, corners = (None if part is None else part[chosen] for part in (self.frames, self.corners))
        return View(frames, corners, self.scale)

    def __call__(self, samples: Tensor) -> Tensor:
        """Samples (B, C, H, W), or clips (B, C, T, H, W), to what is seen of them."""
        return self.cut(samples if self.frames is None else take_frames(samples, self.frames))

    def cut(self, samples: Tensor) -> Tensor:
        """Of samples, or of frames that are already those seen, what is seen of each."""
        if self.corners is None:
            return samples
        part = samples
        for axis in (0, 1):
            size = samples.shape[axis - 2] // self.scale
            places = self.corners[:, axis, None].clamp_min(0) + torch.arange(size, device=samples.device)
            shape = (len(samples), *(1,) * (samples.ndim - 3 + axis), size, *(1,) * (1 - axis))
            part = part.take_along_dim(places.view(shape), axis - 2)
        whole = (self.corners < 0).all(1).view(-1, *(1,) * (samples.ndim - 1))
        return torch.where(whole, coarser(samples, self.scale), part)


def draw_parts(count: int, sides: tuple[int, int], scale: int, generator: torch.Generator) -> Tensor:
    """Corners (count, 2) for a `View`: every other sample is seen whole."""
    free = torch.tensor([side - side // scale + 1 for side in sides], device=generator.device)
    corners = (torch.rand(count, 2, generator=generator, device=generator.device) * free).long()
    corners[::2] = -1
    return corners


def coarser(samples: Tensor, scale: int) -> Tensor:
    """(..., H, W) -> (..., H / scale, W / scale), means of squares."""
    if scale == 1:
        return samples
    return F.avg_pool2d(samples.flatten(0, -4), scale).unflatten(0, samples.shape[:-3])


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
