"""Moving MNIST (Srivastava et al. 2015), generated from the built-in digits."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from sparring.data.dataset import IGNORED_LABELS, Conditional, DataError, Dataset, TensorDataset, digest
from sparring.data.digits import open_digits

SPEED = 0.1
"""Movement of a digit per frame, relative to the free range (the frame's side minus the digit's side).

At 64x64 this is 3.6 pixels, 9/160 of the frame's side.
"""

_HELD_OUT = 1_000
_SIDE = 28 / 64  # side of a digit, relative to the frame's side


@dataclass(kw_only=True, eq=False)
class Bouncing(Dataset):
    """Grey clips (1, T, R, R) of digits that move on straight lines, independently, and bounce off the walls.

    Clip i depends on the seed and i only. Where digits overlap, the brighter pixel is shown.
    """

    digits: torch.Tensor  # (K, side, side) uint8
    digit_classes: torch.Tensor  # (K,) int64
    chosen: torch.Tensor  # (N, digits) int64, indices in `digits`
    start: torch.Tensor  # (N, digits, 2) float64, x and y of the upper left corner in the free range 0..1
    step: torch.Tensor  # (N, digits, 2) float64, movement per frame, without walls

    storage: ClassVar[str] = "made on the fly"

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        picked = indices.to("cpu", torch.int64)
        chosen = self.chosen[picked]
        batch, count = chosen.shape
        _, frames, side, width = self.sample_shape
        digit_side = self.digits.shape[-1]
        corners = (self._corners(picked) * (width - digit_side)).round().long()  # (B, digits, T, 2)
        within = torch.arange(digit_side)
        patch = within[:, None] * width + within  # (side, side)
        frame = (torch.arange(batch)[:, None] * frames + torch.arange(frames)) * side * width  # (B, T)
        canvas = torch.zeros(batch * frames * side * width, dtype=torch.uint8)
        for digit in range(count):
            place = frame + corners[:, digit, :, 1] * width + corners[:, digit, :, 0]
            pixels = place[:, :, None, None] + patch
            canvas[pixels] = torch.maximum(canvas[pixels], self.digits[chosen[:, digit], None])
        samples = canvas.view(batch, *self.sample_shape).float().div_(127.5).sub_(1)
        return samples, self.conditions_of(picked)

    def truth(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The centres and the classes of the digits, for clips `indices` (B,).

        Centres (B, digits, T, 2) are x and y relative to the frame's side, before rounding to whole pixels. Classes
        (B, digits) are 0 to 9, also if the set has no labels.
        """
        picked = indices.to("cpu", torch.int64)
        side, digit_side = self.sample_shape[-1], self.digits.shape[-1]
        positions = (self._corners(picked) * (side - digit_side) + digit_side / 2) / side
        return positions, self.digit_classes[self.chosen[picked]]

    def _corners(self, picked: torch.Tensor) -> torch.Tensor:
        """Upper left corners (B, digits, T, 2) in the free range 0..1."""
        time = torch.arange(self.sample_shape[1], dtype=torch.float64)[:, None]
        unfolded = self.start[picked][:, :, None] + self.step[picked][:, :, None] * time
        # A wall mirrors the path: fold the path without walls at 0 and 1.
        return 1 - (1 - unfolded.remainder(2)).abs()


def bouncing(
    frames: int = 16,
    resolution: int = 64,
    num_digits: int = 2,
    count: int | None = None,
    seed: int = 0,
    conditional: Conditional = True,
) -> Bouncing:
    """`count` clips of the training digits (unset: 10,000 with one digit; 100,000 with two, as there are more paths and
    pairs); `held_out` has 1,000 clips of the held-out digits.

    Digits are 28x28 in frames of 64x64, and in proportion at other resolutions. Start and direction are random, the
    speed is SPEED. A clip with one digit has its class, unless `conditional` is off; a clip with two has none.
    """
    if count is None:
        count = 100_000 if num_digits == 2 else 10_000
    if frames < 1:
        raise DataError(f"a clip needs at least one frame, not {frames}: set --data.frames to 1 or more")
    if resolution < 16 or resolution % 8:
        raise DataError(
            f"bouncing digits need frames of 16, 24, 32, ... pixels: set --data.resolution, not {resolution}"
        )
    if num_digits not in (1, 2):
        raise DataError(f"a clip holds one or two bouncing digits, not {num_digits}: take bouncing-1 or bouncing")
    if count < 1 or seed < 0:
        raise DataError(f"bouncing needs a count of 1 or more and a seed of 0 or more, not {count} and {seed}")
    digits = open_digits(resolution=round(_SIDE * resolution))
    name = "bouncing" if num_digits == 2 else "bouncing-1"
    labelled = conditional and num_digits == 1
    notes = [IGNORED_LABELS] if num_digits == 1 and not conditional else []

    def part(name: str, digits: TensorDataset, count: int, stream: int) -> Bouncing:
        # Drawn row by row, so that a clip does not depend on `count`.
        drawn = torch.from_numpy(np.random.default_rng([seed, stream]).random((count, num_digits, 4)))
        chosen = (drawn[..., 0] * len(digits)).long()
        angle = drawn[..., 1] * (2 * math.pi)
        pictures = digits.samples[:, 0]
        classes = digits.classes[chosen[:, 0]] if labelled else torch.zeros(count, dtype=torch.int64)
        class_names = digits.class_names if labelled else []
        recipe = (frames, resolution, num_digits, count, seed, stream, SPEED, class_names)
        return Bouncing(
            name=name,
            modality="video",
            sample_shape=(1, frames, resolution, resolution),
            classes=classes,
            class_names=class_names,
            fingerprint=digest("bouncing", *recipe, pictures, digits.classes),
            value_range="8-bit pixels 0..255",
            image_modes={"L": count},
            notes=list(notes),
            digits=pictures,
            digit_classes=digits.classes,
            chosen=chosen,
            start=drawn[..., 2:],
            step=SPEED * torch.stack([angle.cos(), angle.sin()], dim=-1),
        )

    held_out = digits.held_out
    assert isinstance(held_out, TensorDataset)
    training = part(name, digits, count, stream=0)
    training.held_out = part(f"{name} (held out)", held_out, _HELD_OUT, stream=1)
    return training
