"""Data sets of image files in a folder, a zip or a tar archive, in memory or decoded on demand."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from itertools import combinations
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import torch
from PIL import Image

from sparring.data.archives import (
    ARCHIVE_ERRORS,
    EXTENSIONS,
    PARSE_ERRORS,
    FolderSource,
    Source,
    TarSource,
    ZipSource,
    reason,
)
from sparring.data.dataset import (
    IGNORED_LABELS,
    MEMORY_LIMIT,
    Conditional,
    DataError,
    Dataset,
    TensorDataset,
    digest,
    labels_by_file,
    number_classes,
    printable,
)
from sparring.data.streamed import THREADS, Pixels, StreamedDataset

# Pillow's other formats are excluded; some of them start external programs.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
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
_CHUNK = 32
_HEAD_BYTES = 64 * 1024
_PROBED = 16  # files that decide whether the pictures are strips
_MIN_STRIP = 4  # frames; shorter strips may be wide pictures
_MIN_FOLDER = 16  # frames; the default length of a clip
_PROBED_FOLDERS = 8
# Largest mean distance to the next frame, relative to the mean distance to other frames of the folder. Bouncing digits
# have 0.6 to 0.7, folders of classes 0.84 (flowers) to 1.3 (digits).
_MAX_CHANGE = 0.8
_THUMBNAIL = 32  # resolution at which frames are compared

IMAGE_ERRORS = (*PARSE_ERRORS, Image.DecompressionBombError)


@dataclass(frozen=True)
class Picture:
    """An opened image file."""

    mode: str
    size: tuple[int, int]  # width and height as stored in the file
    shape: tuple[int, int, int]  # (C, H, W) in the data set
    pixels: Pixels | None  # (H, W, C), None if only the header was read


def read_image(data: bytes, resolution: int | None, decode: bool = True) -> Picture:
    """Opens an image file; raises one of IMAGE_ERRORS if it is damaged.

    With `decode=False` only the header is read and `pixels` is None.
    """
    if not data:
        raise ValueError("the file is empty")
    with Image.open(BytesIO(data), formats=_FORMATS) as image:
        mode, size, target = image.mode, image.size, _target_mode(image)
        if image.width * image.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
            raise Image.DecompressionBombError(f"{image.width}x{image.height} is beyond Pillow's size limit")
        if decode:
            image.load()
        upright = _UPRIGHT.get(_orientation(image))
        if not decode:
            # Pillow reports the upright size of a TIFF, but the stored size of other formats.
            sideways = image.format != "TIFF" and _orientation(image) in (5, 6, 7, 8)
            width, height = (image.height, image.width) if sideways else image.size
            if resolution is not None:
                width = height = resolution
            return Picture(mode, size, (len(target), height, width), None)
        plain = _to_eight_bits(image).convert(target)
    if upright is not None:
        plain = plain.transpose(upright)
    if resolution is not None:
        plain = square(plain, resolution)
    pixels = np.asarray(plain).reshape(plain.height, plain.width, len(target))
    return Picture(mode, size, pixels.shape[2:] + pixels.shape[:2], pixels)


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


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION_TAG, 1))
    except IMAGE_ERRORS:
        return 1  # a damaged EXIF block is ignored


def square(image: Image.Image, resolution: int) -> Image.Image:
    """Crops the central square and resizes it."""
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    # Not `resize(box=...)`: its filter would blend in pixels outside the crop.
    cropped = image.crop((left, top, left + side, top + side))
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


def _decode_or_reason(data: bytes | str, resolution: int | None) -> Picture | str:
    if isinstance(data, str):
        return data
    try:
        return read_image(data, resolution)
    except IMAGE_ERRORS as error:
        return reason(error)


def _read_or_reason(source: Source, index: int) -> bytes | str:
    try:
        return source.read(index)
    except ARCHIVE_ERRORS as error:
        return reason(error)


def read_header(source: Source, index: int, resolution: int | None) -> Picture | str:
    try:
        return read_image(source.read(index, _HEAD_BYTES), resolution, decode=False)
    except (*ARCHIVE_ERRORS, *IMAGE_ERRORS):
        pass  # some formats have their header at the end of the file
    try:
        return read_image(source.read(index), resolution, decode=False)
    except (*ARCHIVE_ERRORS, *IMAGE_ERRORS) as error:
        return reason(error)


def _scan(source: Source, resolution: int | None, memory_limit: int) -> tuple[dict[int, Picture], list[str]]:
    """The readable pictures by their index in the source, and an error for each other file.

    Pixels are kept while all pictures have the same size and are expected to fit into `memory_limit` bytes.
    """
    pictures: dict[int, Picture] = {}
    broken: list[str] = []
    shapes: set[tuple[int, int, int]] = set()
    keep = True
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        # Decompression bombs are reported as skipped; Pillow's other warnings concern EXIF blocks.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)
        for start in range(0, len(source.names), _CHUNK):
            chunk = range(start, min(start + _CHUNK, len(source.names)))
            if keep:
                # Read in order: seeking back in a compressed archive is slow.
                files = [_read_or_reason(source, index) for index in chunk]
                outcomes = pool.map(partial(_decode_or_reason, resolution=resolution), files)
            else:
                outcomes = pool.map(partial(read_header, source, resolution=resolution), chunk)
            for index, outcome in zip(chunk, outcomes, strict=True):
                if isinstance(outcome, str):
                    broken.append(printable(f"{source.names[index]}: {outcome}"))
                else:
                    pictures[index] = outcome
                    shapes.add(outcome.shape)
            if keep and shapes:
                channels = channels_to_hold(shape[0] for shape in shapes)
                pixels = max(height * width for _, height, width in shapes)
                one_size = len({shape[1:] for shape in shapes}) == 1
                keep = one_size and len(source.names) * channels * pixels <= memory_limit
                if not keep:
                    pictures = {index: replace(picture, pixels=None) for index, picture in pictures.items()}
    return pictures, broken


def load_images(
    name: str,
    source: Source,
    labels: Sequence[str] | None,
    *,
    resolution: int | None = None,
    notes: Sequence[str] = (),
    memory_limit: int = MEMORY_LIMIT,
) -> Dataset:
    """The images of `source` as a data set; `labels` has one label for each file.

    Raises DataError if no image is readable, or if sizes differ and `resolution` is None.
    """
    pictures, broken = _scan(source, resolution, memory_limit)
    skipped = [*source.unreadable, *broken]
    if not pictures:
        cause = f"{len(skipped)} broken, first {skipped[0]}" if skipped else "it holds no image files"
        raise DataError(f"no readable image in {name} ({cause}); the supported formats are {' '.join(EXTENSIONS)}")
    sizes = Counter(f"{picture.shape[2]}x{picture.shape[1]}" for picture in pictures.values())
    if len(sizes) > 1:
        common = ", ".join(f"{size}: {count}" for size, count in sizes.most_common(4))
        more = ", ..." if len(sizes) > 4 else ""
        raise DataError(
            f"the images in {name} have {len(sizes)} sizes ({common}{more}); "
            "pass e.g. --resolution 64 to crop and resize them all"
        )
    indices = sorted(pictures)
    channels = channels_to_hold(picture.shape[0] for picture in pictures.values())
    shape = (channels, *pictures[indices[0]].shape[1:])
    kept = None if labels is None else [labels[index] for index in indices]
    classes, class_names = number_classes(kept, len(indices))
    resized = resolution is not None and any(p.size != (resolution, resolution) for p in pictures.values())
    facts: dict[str, Any] = {
        "name": name,
        "modality": "image",
        "sample_shape": shape,
        "classes": classes,
        "class_names": class_names,
        "fingerprint": digest(shape, source.names, source.sizes, classes, class_names),
        "value_range": "8-bit pixels 0..255",
        "image_modes": dict(Counter(picture.mode for picture in pictures.values())),
        "resized": f"centre crop, resized to {resolution}x{resolution}" if resized else "",
        "notes": [*notes, *_left_out(source)],
        "skipped": skipped,
    }
    if all(picture.pixels is not None for picture in pictures.values()):
        return TensorDataset(**facts, samples=_stack(pictures, shape))
    if not source.rereadable:
        raise DataError(
            f"{name} is compressed and too large for memory; unpack it, or convert it to a .zip or plain .tar"
        )
    return StreamedImages(**facts, source=source, indices=indices, resolution=resolution)


def _left_out(source: Source) -> list[str]:
    return [f"{source.other_files} files that are not images were left out"] if source.other_files else []


def _stack(pictures: dict[int, Picture], shape: tuple[int, int, int]) -> torch.Tensor:
    """All pixels as one uint8 tensor (N, C, H, W); empties `pictures` to save memory."""
    samples = np.empty((len(pictures), *shape), dtype=np.uint8)
    for row, index in enumerate(sorted(pictures)):
        pixels = pictures.pop(index).pixels
        if pixels is not None:
            samples[row] = widen(pixels, shape[0])
    return torch.from_numpy(samples)


@dataclass(kw_only=True, eq=False)
class StreamedImages(StreamedDataset):
    """Images that are decoded on demand."""

    source: Source
    indices: list[int]  # each sample's index in the source
    resolution: int | None

    def decode(self, position: int) -> Pixels | str:
        picture = _decode_or_reason(_read_or_reason(self.source, self.indices[position]), self.resolution)
        if isinstance(picture, str):
            return picture
        channels = self.sample_shape[0]
        if picture.shape[1:] != self.sample_shape[1:] or channels_to_hold((channels, picture.shape[0])) != channels:
            return f"its shape is now {picture.shape}, but the set's is {self.sample_shape}"
        return "the pixels are missing" if picture.pixels is None else widen(picture.pixels, channels)

    def name_of(self, position: int) -> str:
        return self.source.names[self.indices[position]]


def open_images(
    path: str,
    *,
    resolution: int | None = None,
    labels: str | None = None,
    conditional: Conditional = True,
    memory_limit: int = MEMORY_LIMIT,
) -> Dataset:
    """The images of a folder, a .zip or a .tar (maybe compressed).

    Classes come from the CSV file `labels` (columns file,label), else from first-level sub-folders.
    """
    source: Source
    if os.path.isdir(path):
        source = FolderSource(path)
    else:
        source = ZipSource(path) if path.lower().endswith(".zip") else TarSource(path)
    found, notes = labels_from_folders(source.names)
    if not conditional:
        notes = [IGNORED_LABELS] if found or labels else []
        found = None
    elif labels is not None:
        found, notes = labels_by_file(labels, source.names), []
    notes += _note_on_videos(source)
    return load_images(path, source, found, resolution=resolution, notes=notes, memory_limit=memory_limit)


def _note_on_videos(source: Source) -> list[str]:
    """A note if the pictures seem to be frames of videos; these are read as clips only with --frames."""
    guess, stems = "", [PurePosixPath(name).stem.lower() for name in source.names]
    if not stems:
        return []
    if all(re.search("frame[^a-z]*$", stem) for stem in stems):
        guess = "frames of videos by their names"
    elif all(len(parts) == 2 for parts in _folders(source.names)) and all(re.search("[0-9]", stem) for stem in stems):
        guess = "frames of videos, laid out as CLASS/VIDEO/number"
    elif source.rereadable:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            folders = _numbered_folders(source.names)
            if folders and _are_videos(source, folders):
                guess = "frames of videos, a folder each"
            elif _are_strips(source):
                guess = "strips of square frames side by side"
    return [f"the pictures may be {guess}: pass --frames N to read them as clips"] if guess else []


def _are_strips(source: Source) -> bool:
    headers = [read_header(source, index, None) for index in range(min(len(source.names), _PROBED))]
    shapes = [header.shape for header in headers if isinstance(header, Picture)]
    return bool(shapes) and all(width % height == 0 and width >= _MIN_STRIP * height for _, height, width in shapes)


def _numbered_folders(names: Sequence[str]) -> list[list[int]]:
    """The indices of each folder's pictures, in order; empty unless there are several folders, each with consecutive
    numbers and enough pictures for a clip."""
    folders: dict[str, list[tuple[int, int]]] = {}  # number and index of each folder's pictures
    for index, name in enumerate(names):
        number = re.search("[0-9]{1,9}$", PurePosixPath(name).stem)
        if number is None:
            return []
        folders.setdefault(str(PurePosixPath(name).parent), []).append((int(number[0]), index))
    for numbered in folders.values():
        numbered.sort()
        counted = [number - numbered[0][0] for number, _ in numbered]
        if len(numbered) < _MIN_FOLDER or counted != list(range(len(numbered))):
            return []
    return [[index for _, index in numbered] for numbered in folders.values()] if len(folders) > 1 else []


def _are_videos(source: Source, folders: Sequence[Sequence[int]]) -> bool:
    """Whether pictures are closer to the next picture than to others of their folder, as in videos.

    Class folders are often numbered too, but their consecutive pictures are not closer than others.
    """
    near = far = 0.0
    for indices in folders[:_PROBED_FOLDERS]:
        places = [int(share * len(indices)) for share in (0, 0.2, 0.5, 0.8)]  # uneven, to detect periodic motion
        sampled = [indices[place + step] for step in (0, 1) for place in places]
        pictures = [_decode_or_reason(_read_or_reason(source, index), _THUMBNAIL) for index in sampled]
        pixels = [widen(p.pixels, 4).astype(float) for p in pictures if isinstance(p, Picture) and p.pixels is not None]
        if len(pixels) == len(sampled):
            current, following = np.stack(pixels).reshape(2, len(places), -1)
            near += float(abs(following - current).mean())
            far += float(np.mean([abs(one - other).mean() for one, other in combinations(current, 2)]))
    return near < _MAX_CHANGE * far


def _folders(names: Sequence[str]) -> list[tuple[str, ...]]:
    """The folders of each file, without the leading folders that all files share."""
    folders = [PurePosixPath(name).parent.parts for name in names]
    shared = 0
    while all(len(parts) > shared and parts[shared] == folders[0][shared] for parts in folders):
        shared += 1
    return [parts[shared:] for parts in folders]


def labels_from_folders(
    names: Sequence[str], *, what: str = "images", example: str = "image.png"
) -> tuple[list[str] | None, list[str]]:
    """Labels and notes: first-level folders are labels if every file lies directly in one, else labels are None.

    Folders that all files share are ignored. The notes call the files `what` and give an `example`.
    """
    if not names:
        return None, []
    below, shared = _folders(names), PurePosixPath(names[0]).parent
    if all(len(parts) == 1 for parts in below):
        return [parts[0] for parts in below], []
    if any(below):
        return None, [
            f"no labels: some {what} do not lie directly in a class folder "
            f"(lay them out as CLASS/{example}, or give a labels file)"
        ]
    return None, [f"no labels: all {what} lie in the one folder {shared}"] if shared.parts else []
