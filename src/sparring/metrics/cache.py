"""A cache on disk for features of real data, which are slow to compute."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from sparring.data.dataset import digest
from sparring.files import write_atomic

MOST_KEPT = 2**32
"""The size of the cache in bytes; the least recently used entry is deleted first."""


def cache_folder() -> Path:
    """`$SPARRING_CACHE`, or the folder `sparring` in the system's cache folder."""
    if named := os.environ.get("SPARRING_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparring"


def cached(key: tuple[object, ...], make: Callable[[], Tensor]) -> Tensor:
    """Returns the cached features of the `key`, or makes them. The key holds contents, as a named file may change."""
    file = cache_folder() / "features" / f"{digest(*key)}.safetensors"
    try:
        features = load_file(file)["features"]
    except (OSError, SafetensorError, KeyError):
        features = make()
        with suppress(OSError):  # without write access the cache has no effect
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, lambda temporary: save_file({"features": features.contiguous()}, temporary))
            _make_room(file.parent)
        return features
    with suppress(OSError):
        os.utime(file)
    return features


def _make_room(folder: Path) -> None:
    """Deletes the least recently used entries beyond `MOST_KEPT` bytes."""
    kept = 0
    for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        kept += file.stat().st_size
        if kept > MOST_KEPT:
            file.unlink(missing_ok=True)
