"""Data sets of image files in a folder, a zip or a tar archive, in memory or decoded on demand."""

from __future__ import annotations

import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from pathlib import PurePosixPath
from threading import Lock
from typing import Any

import numpy as np
import torch
from PIL import Image

from sparring.data.archives import (
    ARCHIVE_ERRORS,
    EXTENSIONS,
    HEAD_BYTES,
    FolderSource,
    Source,
    TarSource,
    ZipSource,
    reason,
)
from sparring.data.budgets import require_usable
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
    versioned,
)
from sparring.data.pictures import IMAGE_ERRORS, Picture, Shape, channels_to_hold, read_image, widen
from sparring.data.streamed import THREADS, Pixels, StreamedDataset

_CHUNK = 32
_LARGE = 1024**2  # pixels of a picture; few can train on more
_CHUNK_BYTES = 64 * 1024**2
_PROBED = 16  # files that decide whether the pictures are strips
_MIN_STRIP = 4  # frames; shorter strips may be wide pictures
_MIN_FOLDER = 16  # frames; the default length of a clip
_PROBED_FOLDERS = 8
# Largest mean distance to the next frame, relative to the mean distance to other frames of the folder. Bouncing digits
# have 0.6 to 0.7, folders of classes 0.84 (flowers) to 1.3 (digits).
_MAX_CHANGE = 0.8
_THUMBNAIL = 32  # resolution at which frames are compared


def _decode_or_reason(data: bytes | str, resolution: int | None, decode: bool = True) -> Picture | str:
    if isinstance(data, str):
        return data
    try:
        return read_image(data, resolution, decode)
    except IMAGE_ERRORS as error:
        return reason(error)


def _read_or_reason(source: Source, index: int) -> bytes | str:
    try:
        return source.read(index)
    except ARCHIVE_ERRORS as error:
        return reason(error)


def read_header(source: Source, index: int, resolution: int | None) -> Picture | str:
    try:
        return read_image(source.read(index, HEAD_BYTES), resolution, decode=False)
    except (*ARCHIVE_ERRORS, *IMAGE_ERRORS):
        pass  # some formats have their header at the end of the file
    try:
        return read_image(source.read(index), resolution, decode=False)
    except (*ARCHIVE_ERRORS, *IMAGE_ERRORS) as error:
        return reason(error)


class _Room:
    """Decodes pictures and keeps pixels while all have one size and are expected to fit into memory."""

    def __init__(self, count: int, resolution: int | None, memory_limit: int) -> None:
        self._count, self._resolution, self._limit = count, resolution, memory_limit
        self._shapes: set[Shape] = set()
        self._lock = Lock()
        self.left = True

    def read(self, data: bytes | str) -> Picture | str:
        """A picture, or an error; without pixels if there is no room for as many as this one and all others."""
        picture = _decode_or_reason(data, self._resolution, decode=self.left)
        if isinstance(picture, str):
            return picture
        with self._lock:
            self._shapes.add(picture.shape)
            channels = channels_to_hold(channels for channels, *_ in self._shapes)
            pixels = max(height * width for _, height, width in self._shapes)
            one_size = len({shape[1:] for shape in self._shapes}) == 1
            self.left = self.left and one_size and self._count * channels * pixels <= self._limit
            return picture if self.left else replace(picture, pixels=None)


def _chunks(source: Source) -> Iterator[range]:
    """The files in order, a few at a time: not more bytes than `_CHUNK_BYTES`, unless a file alone has more."""
    start = total = 0
    for index, size in enumerate(source.sizes):
        if index > start and (index - start == _CHUNK or total + size > _CHUNK_BYTES):
            yield range(start, index)
            start, total = index, 0
        total += size
    if start < len(source.sizes):
        yield range(start, len(source.sizes))


def _scan(source: Source, resolution: int | None, memory_limit: int) -> tuple[dict[int, Picture], list[str]]:
    """The readable pictures by their index in the source, and an error for each other file.

    Pixels are kept while all pictures have the same size and are expected to fit into `memory_limit` bytes; from then
    on only headers are read.
    """
    pictures: dict[int, Picture] = {}
    broken: list[str] = []
    room = _Room(len(source.names), resolution, memory_limit)
    outcomes: Iterable[Picture | str]
    with warnings.catch_warnings(), ThreadPoolExecutor(THREADS) as pool:
        # Decompression bombs are reported as skipped; Pillow's other warnings concern EXIF blocks.
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        warnings.simplefilter("ignore", UserWarning)
        for chunk in _chunks(source):
            if room.left:
                # Read in order: seeking back in a compressed archive is slow.
                files = [_read_or_reason(source, index) for index in chunk]
                outcomes = pool.map(room.read, files)
            elif source.rereadable:
                outcomes = pool.map(partial(read_header, source, resolution=resolution), chunk)
            else:
                outcomes = [read_header(source, index, resolution) for index in chunk]
            for index, outcome in zip(chunk, outcomes, strict=True):
                if isinstance(outcome, str):
                    broken.append(printable(f"{source.names[index]}: {outcome}"))
                else:
                    pictures[index] = outcome if room.left else replace(outcome, pixels=None)
            if not room.left and any(picture.pixels is not None for picture in pictures.values()):
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
    require_usable(name, shape)
    kept = None if labels is None else [labels[index] for index in indices]
    classes, class_names = number_classes(kept, len(indices))
    resized = resolution is not None and any(p.size != (resolution, resolution) for p in pictures.values())
    facts: dict[str, Any] = {
        "name": name,
        "modality": "image",
        "sample_shape": shape,
        "classes": classes,
        "class_names": class_names,
        "fingerprint": versioned(
            digest(
                former := digest(shape, source.names, source.sizes, classes, class_names),
                [source.checksum(index) or pictures[index].mark for index in indices],
            ),
            former,
        ),
        "value_range": "8-bit pixels 0..255",
        "image_modes": dict(Counter(picture.mode for picture in pictures.values())),
        "resized": f"centre crop, resized to {resolution}x{resolution}" if resized else "",
        "notes": [*notes, *_left_out(source), *_note_on_size(shape)],
        "skipped": skipped,
    }
    if all(picture.pixels is not None for picture in pictures.values()):
        return TensorDataset(**facts, samples=_stack(pictures, shape))
    if not source.rereadable:
        raise DataError(
            f"{name} is compressed and too large for memory; unpack it, or convert it to a .zip or plain .tar"
        )
    return StreamedImages(**facts, source=source, indices=indices, resolution=resolution)


def _note_on_size(shape: Shape) -> list[str]:
    _, height, width = shape
    if height * width <= _LARGE:
        return []
    return [f"the pictures have {width}x{height} pixels: pass e.g. --resolution 128 to crop and resize them"]


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
