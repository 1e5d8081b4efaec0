"""Opening what a person names as training data: a built-in set, files, an archive, arrays or the hub."""

from __future__ import annotations

import os

from sparring.data import archives, arrays, hub, images, synthetic
from sparring.data.dataset import MEMORY_LIMIT, DataError, Dataset
from sparring.data.digits import open_digits
from sparring.data.synthetic import mode_coverage

__all__ = ["BUILT_IN", "DataError", "Dataset", "mode_coverage", "open_dataset"]

BUILT_IN = ("digits", "rings", "grid")
LARGEST_RESOLUTION = 4096

_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
_KNOWN = f"{', '.join(BUILT_IN)}, a folder of images, .zip, .tar, .npz, .npy, IDX images (.gz) or hf:NAME"


def open_dataset(
    path: str,
    *,
    resolution: int | None = None,
    labels: str | None = None,
    conditional: bool = True,
    memory_limit: int = MEMORY_LIMIT,
) -> Dataset:
    """Open a data set by its name or path; raises DataError with one clear line if that cannot be done.

    `resolution` crops images centrally to a square and resizes them. `labels` names a CSV file
    (file,label for image files; one label a row for arrays) or an IDX labels file. With
    `conditional=False` labels are ignored. Image files of more than `memory_limit` bytes of pixels
    are decoded on demand.
    """
    if resolution is not None and (isinstance(resolution, bool) or not 1 <= resolution <= LARGEST_RESOLUTION):
        raise DataError(f"the resolution must be a whole number from 1 to {LARGEST_RESOLUTION}, not {resolution}")
    if path in BUILT_IN or path.startswith(hub.PREFIX):
        if labels is not None:
            raise DataError(f"{path} brings its own labels or has none: leave out the labels file {labels}")
        if path.startswith(hub.PREFIX):
            return hub.open_hub(path, resolution=resolution, conditional=conditional, memory_limit=memory_limit)
        return _open_built_in(path, resolution, conditional)
    if os.path.isdir(path):
        pair = arrays.idx_pair_in(path)
        if pair is not None:
            return arrays.open_idx(pair, resolution=resolution, labels=labels, conditional=conditional)
    elif not os.path.exists(path):
        raise DataError(f"there is no file or folder {path!r}; data is one of: {_KNOWN}")
    elif path.lower().endswith((".npz", ".npy")):
        return arrays.open_numpy(path, resolution=resolution, labels=labels, conditional=conditional)
    elif path.lower().endswith(archives.EXTENSIONS):
        raise DataError(f"{path} is a single image; name the folder that holds all of them")
    elif not path.lower().endswith((".zip", *_TAR_ENDINGS)):
        if arrays.is_idx(path):
            return arrays.open_idx(path, resolution=resolution, labels=labels, conditional=conditional)
        raise DataError(f"{path} is of no known kind; data is one of: {_KNOWN}")
    return images.open_images(
        path, resolution=resolution, labels=labels, conditional=conditional, memory_limit=memory_limit
    )


def _open_built_in(name: str, resolution: int | None, conditional: bool) -> Dataset:
    if name == "digits":
        return open_digits(resolution=resolution, conditional=conditional)
    if resolution not in (None, 1):
        raise DataError(f"{name} are points, not images: leave out --resolution")
    return synthetic.rings() if name == "rings" else synthetic.grid()
