"""One picture: from the bytes of an image file to pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image

from sparring.data.archives import PARSE_ERRORS, mark_of
from sparring.data.budgets import Budget, spelled
from sparring.data.streamed import Pixels

# Pillow's other formats are excluded; some of them start external programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF")
_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

MAX_SIDE = 2**18
"""A picture's longest side in pixels; one of 80,000,000x1 would be as many frames."""

IN_FLIGHT = Budget(32 * 2**20)
"""Pixels that all threads decode at the same time; each takes Pillow 8 to 12 bytes."""

_DRAFT = 2  # a JPEG is decoded at no less than this many times the resolution, so that the filter sees finer pixels

IMAGE_ERRORS = (*PARSE_ERRORS, Image.DecompressionBombError)

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Picture:
    """An opened image file."""

    mode: str
    size: tuple[int, int]  # width and height as stored in the file
    shape: Shape  # (C, H, W) in the data set
    pixels: Pixels | None  # (H, W, C), None if only the header was read
    mark: str  # a digest of the bytes that were read


def read_image(data: bytes, resolution: int | None, decode: bool = True) -> Picture:
    """Opens an image file; raises one of IMAGE_ERRORS if it is damaged.

    With `decode=False` only the header is read and `pixels` is None. A JPEG that is to shrink is decoded at a fraction
    of its size, which costs a fraction of the memory and time.
    """
    if not data:
        raise ValueError("the file is empty")
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        mode, size, target = image.mode, image.size, _target_mode(image)
        shape = (len(target), *_upright_size(image)) if resolution is None else (len(target), resolution, resolution)
        if resolution is not None:
            image.draft(None, (_DRAFT * resolution, _DRAFT * resolution))  # does nothing to other formats
        check_size(image, size)
        pixels = None
        if decode:
            # A progressive JPEG keeps all its coefficients whatever the size at which it is decoded.
            stored = size[0] * size[1] if image.info.get("progressive") else 0
            with IN_FLIGHT.hold(max(stored, image.width * image.height)):
                pixels = _decoded(image, target, resolution)
                image.close()  # frees its memory before another picture takes its place
            shape = (pixels.shape[2], *pixels.shape[:2])
    return Picture(mode, size, shape, pixels, mark_of(data))


def check_size(image: Image.Image, stored: tuple[int, int]) -> None:
    """Raises one of IMAGE_ERRORS if an opened image, of the size `stored`, is too large to decode."""
    width, height = stored
    if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
        needed = spelled(4 * width * height)
        raise Image.DecompressionBombError(f"{width}x{height} takes {needed}, beyond Pillow's size limit: shrink it")
    if max(stored) > MAX_SIDE:
        raise ValueError(f"{width}x{height} is longer than {MAX_SIDE} pixels: cut it")


def _decoded(image: Image.Image, target: str, resolution: int | None) -> Pixels:
    """The upright pixels (H, W, C)."""
    image.load()
    upright = _UPRIGHT.get(_orientation(image, loaded=True))
    plain = _to_eight_bits(image)
    if plain.mode != target:
        plain = plain.convert(target)
    if upright is not None:
        plain = plain.transpose(upright)
    if resolution is not None:
        plain = square(plain, resolution)
    return np.asarray(plain).reshape(plain.height, plain.width, len(target))


def _upright_size(image: Image.Image) -> tuple[int, int]:
    """Height and width; Pillow reports the upright size of a TIFF, but the stored size of other formats."""
    sideways = image.format != "TIFF" and _orientation(image, loaded=False) in (5, 6, 7, 8)
    return (image.width, image.height) if sideways else (image.height, image.width)


def _target_mode(image: Image.Image) -> str:
    if image.mode == "F":
        raise ValueError("pictures of 32-bit floats are not supported; put them into an .npy file")
    if image.mode.startswith("I"):
        return "L"
    colour = image.mode not in ("1", "L", "LA", "La")
    alpha = "transparency" in image.info or image.mode in ("LA", "La", "PA", "RGBA", "RGBa")
    return ("RGB" if colour else "L") + ("A" if alpha else "")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    if not image.mode.startswith("I"):
        return image
    deep = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((deep + 128) // 257).astype(np.uint8))


def _orientation(image: Image.Image, *, loaded: bool) -> int:
    if not loaded and image.format == "PNG" and "exif" not in image.info:
        return 1  # Pillow would decode all pixels to look behind them
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except IMAGE_ERRORS:
        return 1  # a damaged EXIF block is ignored


def square(image: Image.Image, resolution: int) -> Image.Image:
    """Crops the central square and resizes it."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Not `resize(box=...)`: its filter would blend in pixels outside the crop.
    cropped = image if image.width == image.height else image.crop((left, top, left + side, top + side))
    return cropped.resize((resolution, resolution), Image.Resampling.LANCZOS)


def widen(pixels: Pixels, channels: int) -> Pixels:
    """Converts (H, W, c) to (channels, H, W): grey is repeated, missing alpha is opaque."""
    height, width, own = pixels.shape
    colours = channels - (channels in (2, 4))
    wide = np.full((channels, height, width), 255, dtype=np.uint8)
    wide[:colours] = pixels[..., : own - (own in (2, 4))].transpose(2, 0, 1)
    if own in (2, 4):
        wide[-1] = pixels[..., -1]
    return wide


def channels_to_hold(channel_counts: Iterable[int]) -> int:
    """The number of channels that fits all pictures: 1 grey, 2 grey and alpha, 3 colour, 4 colour and alpha."""
    counts = set(channel_counts)
    return (3 if counts & {3, 4} else 1) + bool(counts & {2, 4})
