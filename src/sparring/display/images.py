"""Tensors as images."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from sparring.config import ConfigError
from sparring.files import write_atomic

SMALLEST_SIDE = 56
"""Images smaller than this are enlarged by an integer factor, without interpolation."""


def to_image(sample: Tensor) -> Image.Image:
    """Converts one sample (C, H, W) in [-1, 1] with 1 to 4 channels."""
    pixels = sample.detach().float().cpu().clamp(-1, 1).add(1).mul(127.5).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))


def grid(samples: Tensor, columns: int | None = None) -> Image.Image:
    """Tiles samples (N, C, H, W) row by row."""
    count, channels, height, width = samples.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    tiles = samples.new_full((rows * columns, channels, height, width), -1.0)
    tiles[:count] = samples
    tiles = tiles.view(rows, columns, channels, height, width).permute(2, 0, 3, 1, 4)
    image = to_image(tiles.reshape(channels, rows * height, columns * width))
    scale = max(1, round(SMALLEST_SIDE / max(height, width)))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)


def save_image(image: Image.Image, path: Path) -> None:
    """Saves an image atomically, in the format of the path's suffix."""
    image_format = Image.registered_extensions().get(path.suffix.lower())
    if image_format not in Image.SAVE:
        raise ConfigError(f"{path} must end in .png, .webp, .jpg or another suffix of images")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda temporary: image.save(temporary, format=image_format))


def save_arrays(samples: Tensor, path: Path, name: str = "samples") -> None:
    """Saves samples as a NumPy array `name` (.npz)."""
    write_atomic(path, lambda temporary: _write_npz(samples, temporary, name))


def _write_npz(samples: Tensor, path: Path, name: str) -> None:
    arrays: dict[str, Any] = {name: samples.numpy()}
    with open(path, "wb") as file:
        np.savez_compressed(file, **arrays)
