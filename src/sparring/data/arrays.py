"""Images or clips in one array: NumPy's .npz and .npy files, and MNIST's IDX files."""

from __future__ import annotations

import gzip
import math
import os
import re
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch.nn.functional import interpolate

from sparring.data.archives import PARSE_ERRORS
from sparring.data.budgets import justified, require_justified, require_regular, spelled
from sparring.data.dataset import (
    IGNORED_LABELS,
    MEMORY_LIMIT,
    Conditional,
    DataError,
    TensorDataset,
    digest,
    labels_by_row,
    natural_key,
    number_classes,
)

ENDINGS = (".npz", ".npy")
IMAGE_KEYS = ("images", "x", "data", "arr_0", "x_train", "train_images")
LABEL_KEYS = ("labels", "y", "label", "y_train", "train_labels")
CONDITIONS = "conditions"
"""The array of conditions, which is read if `--data.condition` names its file."""
_NAMED_AS_IMAGES = ("images", "train_images")
_IDX_IMAGES = re.compile(r"images([-.])idx3-ubyte(\.gz)?$")
_IDX_MAGIC = {3: b"\0\0\x08\x03", 1: b"\0\0\x08\x01"}  # by the number of dimensions; 8 means bytes
_ROWS_AT_ONCE = 256
_TOLERANCE = 1e-4  # for rounding errors at the ends of a range

# numpy.load raises all of these on broken bytes.
LOAD_ERRORS = (*PARSE_ERRORS, tokenize.TokenError, zipfile.BadZipFile)

Array = npt.NDArray[np.generic]


def open_numpy(
    path: str, *, resolution: int | None = None, labels: str | None = None, conditional: Conditional = True
) -> TensorDataset:
    """The images (N, H, W), (N, H, W, C) or (N, C, H, W), or clips (N, C, T, H, W) or (N, T, H, W, C), of an .npz or
    .npy file.

    Labels are an array `labels`, `y` or `label` of an .npz; the CSV file `labels`, one label a row, overrides it.
    """
    arrays = load_arrays(path)
    notes = []
    image_key = _image_key(path, arrays)
    label_key = next((key for key in LABEL_KEYS if key in arrays and key != image_key), None)
    unused = sorted(set(arrays) - {image_key, label_key, CONDITIONS})
    if unused:
        notes.append(f"images are the array {image_key!r}; left out: {', '.join(unused)}")
    images = arrays[image_key]
    named = image_key in _NAMED_AS_IMAGES and not path.lower().endswith(".npy")
    if not named and images.ndim == 3 and images.dtype.kind == "f":
        _, height, width = images.shape
        notes.append(
            f"the array of the shape {images.shape} was read as pictures of {height}x{width}; if it holds series of "
            f"{height} steps, pass --window {height} or name it 'series' in an .npz"
        )
    classes: Sequence[str] | None = None
    if not conditional:
        notes += [IGNORED_LABELS] if labels or label_key else []
    elif labels is not None:
        classes = labels_by_row(labels, images.shape[0] if images.ndim else 0)
    elif label_key is not None:
        classes = label_names(path, arrays[label_key], conditional)
    return build(path, images, classes, resolution=resolution, notes=notes)


def holds_clips(path: str) -> bool:
    """Whether the array of an .npz or .npy file has the five axes of clips."""
    return _key_and_axes(path)[1] == 5


def holds_rows(path: str) -> bool:
    """Whether the array of an .npz or .npy file has fewer axes than pictures, and not their name."""
    key, axes = _key_and_axes(path)
    return axes in (1, 2) and key not in _NAMED_AS_IMAGES


def _key_and_axes(path: str) -> tuple[str, int]:
    """The array's name and number of axes, from its header only; 0 axes where the header cannot be read."""
    try:
        if path.lower().endswith(".npy"):
            with open(path, "rb") as file:
                return "", _axes(file)
        with zipfile.ZipFile(path) as archive:
            axes = {}
            for name in archive.namelist():
                with archive.open(name) as member:
                    axes[name.removesuffix(".npy")] = _axes(member)
        key = _image_key(path, axes)
        return key, axes[key]
    except (DataError, *LOAD_ERRORS):
        return "", 0  # `open_numpy` raises the error


def _axes(file: IO[bytes]) -> int:
    return len(_header(file)[0])


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, order and type of an array."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def idx_pair_in(folder: str) -> str | None:
    """The IDX images file in `folder`, the training file if there are several; None without one."""
    try:
        matching = (name for name in os.listdir(folder) if _IDX_IMAGES.search(name))
        found = sorted(name for name in matching if os.path.isfile(os.path.join(folder, name)))
    except OSError:
        return None
    training = [name for name in found if "train" in name]
    return os.path.join(folder, (training or found)[0]) if found else None


def is_idx(path: str) -> bool:
    """Whether the file name is that of IDX images, or ends in .gz."""
    return path.endswith(".gz") or _IDX_IMAGES.search(path) is not None


def open_idx(
    path: str, *, resolution: int | None = None, labels: str | None = None, conditional: Conditional = True
) -> TensorDataset:
    """IDX images; labels are in the file `labels`, else in the IDX file beside the images."""
    images = _read_idx(path, dimensions=3)
    if labels is None:
        beside = _IDX_IMAGES.sub(r"labels\1idx1-ubyte\2", path)
        labels = beside if beside != path and os.path.isfile(beside) else None
    notes = []
    classes: Sequence[str] | None = None
    if labels is None:
        notes.append("no labels: there is no labels-idx1-ubyte file beside the images")
    elif not conditional:
        notes.append(IGNORED_LABELS)
    elif labels.lower().endswith(".csv"):
        classes = labels_by_row(labels, len(images))
    else:
        classes = [str(number) for number in _read_idx(labels, dimensions=1)]
    return build(path, images, classes, resolution=resolution, notes=notes)


def build(
    name: str,
    images: Array,
    labels: Sequence[str] | None,
    *,
    resolution: int | None = None,
    notes: Sequence[str] = (),
) -> TensorDataset:
    """A data set in memory from an array of images or clips (see `open_numpy`); raises DataError for other arrays."""
    samples, value_range = _scale(name, _channels_first(name, images), _or_series(images))
    if labels is not None and len(labels) != len(samples):
        raise DataError(f"{name} has {len(samples)} images but {len(labels)} labels: the counts must match")
    side = samples.shape[-2:]
    if resolution is not None:
        samples = _square(name, samples, resolution)
    classes, class_names = number_classes(labels, len(samples))
    channels, *_, height, width = samples.shape[1:]
    return TensorDataset(
        name=name,
        modality="video" if samples.ndim == 5 else "image",
        sample_shape=tuple(samples.shape[1:]),
        classes=classes,
        class_names=class_names,
        fingerprint=digest(samples, classes, class_names),
        value_range=value_range,
        image_modes={{1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}[channels]: len(samples)},
        resized=f"centre crop, resized to {height}x{width}" if samples.shape[-2:] != side else "",
        notes=list(notes),
        samples=samples,
    )


def load_arrays(path: str) -> dict[str, Array]:
    """All arrays of an .npz or .npy file, if their headers promise no more than the file justifies."""
    require_regular(path)
    try:
        _check_promises(path)
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return {"images": loaded}
        with loaded:
            members = [(key, loaded[key]) for key in loaded.files]
        return {key: member for key, member in members if isinstance(member, np.ndarray)}
    except DataError:
        raise
    except LOAD_ERRORS as error:
        raise DataError(f"cannot read {path} as NumPy arrays: {load_error(error)}") from error


def _check_promises(path: str) -> None:
    """Raises DataError if arrays would take more memory than the file justifies, and ValueError if one is cut off."""
    if not zipfile.is_zipfile(path):
        with open(path, "rb") as file:
            needed = _promised_bytes(file)
            if needed > os.path.getsize(path) - file.tell():
                raise ValueError(f"it is cut off, its array should have {spelled(needed)}: fetch it again")
        return
    total = 0
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if not info.filename.endswith(".npy"):
                total += info.file_size  # NumPy reads other files as bytes
                continue
            with archive.open(info) as member:
                needed = _promised_bytes(member)
            if needed > info.file_size:
                raise ValueError(f"{info.filename} is cut off, it should have {spelled(needed)}: fetch it again")
            total += needed
    require_justified(path, total, "save fewer samples, or without compression")


def _promised_bytes(file: IO[bytes]) -> int:
    shape, _, dtype = _header(file)
    return 0 if dtype.hasobject else math.prod(shape) * dtype.itemsize  # objects are refused later


def load_error(error: BaseException) -> str:
    """The text of one of LOAD_ERRORS."""
    text = str(error)
    if "Object arrays" in text or "Python objects" in text:
        return "arrays of Python objects are not read"
    if "pickle" in text or "magic string" in text:  # NumPy's guess for any file with an unknown beginning
        return "it is broken, or was not written by NumPy"
    return text or "broken"


def _image_key(path: str, arrays: Mapping[str, object]) -> str:
    for key in IMAGE_KEYS:
        if key in arrays:
            return key
    others = [key for key in arrays if key not in (*LABEL_KEYS, CONDITIONS)]
    if len(others) != 1:
        have = ", ".join(sorted(arrays, key=natural_key)) or "no arrays"
        raise DataError(f"{path} holds {have}: name the image array 'images' (and the labels 'labels')")
    return others[0]


def label_names(path: str, labels: Array, conditional: Conditional = True) -> list[str]:
    """Labels as text: whole numbers or names of classes; with "numbers", any numbers (N,) or (N, K)."""
    if conditional == "numbers" and labels.dtype.kind in "biuf" and labels.ndim in (1, 2):
        return [" ".join(map(repr, row)) for row in labels.reshape(len(labels), -1).tolist()]
    flat = labels.reshape(len(labels)) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    if flat.ndim != 1:
        raise DataError(f"the labels in {path} have the shape {labels.shape}; give one class number a sample")
    if flat.dtype.kind == "f" and np.isfinite(flat).all() and (flat == np.rint(flat)).all():
        flat = flat.astype(np.int64)
    if flat.dtype.kind == "S":
        flat = np.char.decode(flat.astype(np.bytes_), "utf-8", "backslashreplace")
    if flat.dtype.kind not in "biuU":
        raise DataError(f"the labels in {path} are {flat.dtype} values; give class numbers or names")
    return [str(label) for label in flat]


def _channels_first(name: str, images: Array) -> Array:
    if images.ndim == 3:
        images = images[:, None]
    elif images.ndim in (4, 5):
        _, first, *_, middle, last = images.shape
        if last in range(1, 5) and not (first in range(1, 5) and middle == last):
            images = np.moveaxis(images, -1, 1)
    if images.ndim not in (4, 5) or images.shape[1] not in range(1, 5) or 0 in images.shape:
        raise DataError(
            f"{name} has an array of the shape {images.shape}; images are (N, H, W), (N, H, W, C) or "
            f"(N, C, H, W) with 1 to 4 channels, clips (N, C, T, H, W) or (N, T, H, W, C){_or_series(images)}"
        )
    return images


def _or_series(images: Array) -> str:
    """The end of a message about an array that is not pictures but may be series."""
    if images.ndim not in (2, 3) or 0 in images.shape:
        return ""
    if images.ndim == 2:
        return (
            "; series (N, T) are read under the name 'series', one long table (T, C) with --window W (steps a sample)"
        )
    return "; series (N, T, C) are read with --window W (steps a sample) or, in an .npz, under the name 'series'"


def _scale(name: str, images: Array, or_series: str) -> tuple[torch.Tensor, str]:
    """Pixels as uint8 in 0..255 or float32 in [-1, 1], and the range in which they were stored."""
    kind, dtype = images.dtype.kind, images.dtype.name
    if kind == "b":
        return torch.from_numpy(images.astype(np.uint8, order="C") * 255), "bool, 0 and 1"
    if kind not in "uif":
        raise DataError(f"{name} holds {dtype} values; images are integers or floats")
    low, high = float(images.min()), float(images.max())
    if kind in "ui":
        if low >= 0 and high <= 255:
            return torch.from_numpy(images.astype(np.uint8, order="C")), f"{dtype} 0..255"
        if dtype != "uint16":
            raise DataError(
                f"{name} holds {dtype} values from {low:.0f} to {high:.0f}; use 0 to 255 (or uint16){or_series}"
            )
        rounded = (images.astype(np.uint32, order="C") + 128) // 257
        return torch.from_numpy(rounded.astype(np.uint8)), "uint16 0..65535"
    if not (math.isfinite(low) and math.isfinite(high)):
        raise DataError(f"{name} holds NaN or infinite values: clean them before training{or_series}")
    for start, end in ((0, 1), (-1, 1), (0, 255)):
        if low >= start - _TOLERANCE and high <= end + _TOLERANCE:
            unit = (images.astype(np.float32, order="C") - start) / (end - start)
            return torch.from_numpy(unit).mul_(2).sub_(1).clamp_(-1, 1), f"{dtype} [{start}, {end}]"
    todo = f"scale them to [0, 1], [-1, 1] or [0, 255]{or_series}"
    raise DataError(f"{name} holds values from {low:.4g} to {high:.4g}; {todo}")


def _square(name: str, samples: torch.Tensor, resolution: int) -> torch.Tensor:
    """Crops the central square and resizes it; keeps the type."""
    *counts, height, width = samples.shape
    if (height, width) == (resolution, resolution):
        return samples
    planes = samples.reshape(-1, 1, height, width)
    needed = len(planes) * resolution**2 * samples.element_size()
    if needed > MEMORY_LIMIT:
        raise DataError(f"{name} at {resolution}x{resolution} would take {needed / 2**30:.1f} GiB: lower --resolution")
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    resized = torch.empty(len(planes), 1, resolution, resolution, dtype=samples.dtype)
    for start in range(0, len(planes), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        crop = planes[rows, :, top : top + side, left : left + side].float()
        smooth = interpolate(crop, (resolution, resolution), mode="bilinear", antialias=True)
        resized[rows] = smooth if samples.is_floating_point() else smooth.round().clamp(0, 255)
    return resized.view(*counts, resolution, resolution)


def _read_idx(path: str, *, dimensions: int) -> npt.NDArray[np.uint8]:
    what = "images" if dimensions == 3 else "labels"
    require_regular(path)
    try:
        with open(path, "rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(path, "rb") if packed else open(path, "rb") as handle:
            magic = handle.read(4)
            if magic != _IDX_MAGIC[dimensions]:
                raise DataError(f"{path} is not an IDX file of {what} (its first bytes are {magic.hex() or 'missing'})")
            header = handle.read(4 * dimensions)
            if len(header) < 4 * dimensions:
                raise DataError(f"{path} is cut off in its header; fetch it again")
            shape = struct.unpack(f">{dimensions}I", header)
            expected = math.prod(shape)
            most = min(expected, MEMORY_LIMIT, justified(path))
            body = handle.read(most + 1)
    except (OSError, EOFError, zlib.error, MemoryError) as error:
        raise DataError(f"cannot read {path}: {error}; it may be cut off, fetch it again") from error
    if expected > most < len(body):
        require_justified(path, expected, "split it")
    if len(body) != expected:
        size = "more" if len(body) > expected else f"only {len(body)}"
        raise DataError(f"{path} promises {expected} bytes of {what} but holds {size}; fetch it again")
    return np.frombuffer(body, dtype=np.uint8).reshape(shape)
