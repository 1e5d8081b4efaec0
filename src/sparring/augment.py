"""Differentiable augmentation of the discriminator's inputs (Zhao et al. 2020, DiffAugment).

The same draw is applied to the real and the fake sample of a pair and to their perturbed copies in R1/R2, so an
`Augmentation` is drawn once a step and then called on each of them. Samples are (B, C, *axes) in [-1, 1]. Saturation
needs at least three channels. All frames of a clip (B, C, T, H, W) get the same augmentation.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Strengths(Protocol):
    """Strength of each augmentation and share of augmented samples; see `AugmentConfig`."""

    @property
    def probability(self) -> float: ...
    @property
    def translation(self) -> float: ...
    @property
    def cutout(self) -> float: ...
    @property
    def color(self) -> float: ...


@dataclass(frozen=True)
class Augmentation:
    """One draw for a batch: shifts (B, axes) in elements, cutout corners (B, axes), colour factors (B, 3).

    The time axis of clips is not augmented."""

    shifts: Tensor | None
    cutout_start: Tensor | None
    cutout_size: tuple[int, ...]
    color: Tensor | None

    @classmethod
    def draw(
        cls, config: Strengths, batch: int, axes: tuple[int, ...], generator: torch.Generator
    ) -> "Augmentation | None":
        """None where the configuration asks for no augmentation."""
        if config.probability == 0:
            return None
        device = generator.device
        axes = axes[-2:]  # not the time axis of clips
        sizes = torch.tensor(axes, device=device)

        def chosen(shape: int) -> Tensor:
            return torch.rand(batch, 1, generator=generator, device=device).lt(config.probability).expand(-1, shape)

        def uniform(shape: int) -> Tensor:
            return torch.rand(batch, shape, generator=generator, device=device)

        shifts = start = color = None
        if config.translation:
            shifts = ((2 * uniform(len(axes)) - 1) * (config.translation * sizes)).round().long() * chosen(len(axes))
        cutout_size = tuple(max(1, round(config.cutout * size)) for size in axes)
        if config.cutout:
            start = (uniform(len(axes)) * (sizes - torch.tensor(cutout_size, device=device) + 1)).long()
            start = torch.where(chosen(len(axes)), start, sizes)  # a square beyond the border removes nothing
        if config.color:
            color = (2 * uniform(3) - 1) * config.color * chosen(3)
        return cls(shifts, start, cutout_size, color)

    def first(self, count: int) -> "Augmentation":
        """The draw of the batch's first `count` samples."""
        parts = [None if part is None else part[:count] for part in (self.shifts, self.cutout_start, self.color)]
        return Augmentation(parts[0], parts[1], self.cutout_size, parts[2])

    def __call__(self, samples: Tensor) -> Tensor:
        if self.color is not None:
            samples = _change_color(samples, self.color)
        if self.shifts is not None:
            samples = _translate(samples, self.shifts)
        if self.cutout_start is not None:
            samples = samples * _outside(samples, self.cutout_start, self.cutout_size)
        return samples


def _change_color(x: Tensor, color: Tensor) -> Tensor:
    """Brightness in [-1, 1], then saturation and contrast by factors in [0, 2]."""
    brightness, saturation, contrast = color.view(len(x), 3, *(1,) * (x.ndim - 1)).unbind(1)
    x = x + brightness
    if x.shape[1] >= 3:
        rgb = x[:, :3]
        grey = rgb.mean(1, keepdim=True)
        x = torch.cat([grey + (rgb - grey) * (1 + saturation), x[:, 3:]], 1)
    mean = x.flatten(1).mean(1).view(-1, *(1,) * (x.ndim - 1))
    return mean + (x - mean) * (1 + contrast)


def _translate(x: Tensor, shifts: Tensor) -> Tensor:
    """Shifts each sample along each of the last axes; the border is repeated."""
    for axis, shift in zip(range(-shifts.shape[1], 0), shifts.unbind(1), strict=True):
        size = x.shape[axis]
        position = torch.arange(size, device=x.device) - shift[:, None]  # (B, size)
        x = x.take_along_dim(_along(position.clamp(0, size - 1), axis, x.ndim), axis)
    return x


def _outside(x: Tensor, start: Tensor, size: tuple[int, ...]) -> Tensor:
    """The cutout mask of x: False inside each sample's box in the last axes, True outside."""
    inside = torch.ones(len(start), *(1,) * (x.ndim - 1), dtype=torch.bool, device=start.device)
    for axis, first, length in zip(range(-len(size), 0), start.unbind(1), size, strict=True):
        position = torch.arange(x.shape[axis], device=start.device) - first[:, None]
        inside = inside & _along((position >= 0) & (position < length), axis, x.ndim)
    return ~inside


def _along(values: Tensor, axis: int, ndim: int) -> Tensor:
    """Reshapes (B, size) to `ndim` dimensions, with `size` at the negative index `axis` and 1 elsewhere."""
    return values.view(len(values), *(1,) * (ndim + axis - 1), -1, *(1,) * (-axis - 1))


def flip(samples: Tensor, generator: torch.Generator) -> Tensor:
    """Mirrors each sample along the last axis with probability 1/2."""
    mirrored = torch.rand(len(samples), generator=generator, device=generator.device).lt(0.5).to(samples.device)
    return torch.where(mirrored.view(-1, *(1,) * (samples.ndim - 1)), samples.flip(-1), samples)
