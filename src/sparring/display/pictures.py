"""Samples as pictures."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from sparring.config import ConfigError
from sparring.files import write_atomic

SMALLEST_SIDE = 56
"""Pictures smaller than this are enlarged by a whole factor, pixel by pixel."""


def to_image(sample: Tensor) -> Image.Image:
    """One sample (C, H, W) in [-1, 1], 1 to 4 channels."""
    pixels = sample.detach().float().cpu().clamp(-1, 1).add(1).mul(127.5).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


def grid(samples: Tensor, columns: int | None = None) -> Image.Image:
    """Samples (N, C, H, W) as one picture, row by row."""
    count, channels, height, width = samples.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    canvas = samples.new_full((rows * columns, channels, height, width), -1.0)
    canvas[:count] = samples
    canvas = canvas.view(rows, columns, channels, height, width).permute(2, 0, 3, 1, 4)
    image = to_image(canvas.reshape(channels, rows * height, columns * width))
    scale = max(1, round(SMALLEST_SIDE / max(height, width)))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def save_image(image: Image.Image, path: Path) -> None:
    """In the format that the path's suffix names, written whole or not at all."""
    image_format = Image.registered_extensions().get(path.suffix.lower())
    if image_format not in Image.SAVE:
        raise ConfigError(f"{path} must end in .png, .webp, .jpg or another picture's suffix")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda temporary: image.save(temporary, format=image_format))


def save_arrays(samples: Tensor, path: Path, name: str = "samples") -> None:
    """As a NumPy array (.npz) of that name."""
    write_atomic(path, lambda temporary: _write_npz(samples, temporary, name))


def _write_npz(samples: Tensor, path: Path, name: str) -> None:
    arrays: dict[str, Any] = {name: samples.numpy()}
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)
