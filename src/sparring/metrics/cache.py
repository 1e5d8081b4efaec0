"""Features of real data, kept from one evaluation to the next: they are the same each time and slow to make."""

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
"""Bytes of all features together; what was not asked for longest goes first."""


def cache_folder() -> Path:
    """`$SPARRING_CACHE`, or `sparring` where the system keeps caches."""
    if named := os.environ.get("SPARRING_CACHE"):
        return Path(named)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sparring"


def cached(key: tuple[object, ...], make: Callable[[], Tensor]) -> Tensor:
    """What `make` gives, or gave for an equal `key`: contents, not names, as a file may change under its name."""
    file = cache_folder() / "features" / f"{digest(*key)}.safetensors"
    try:
        features = load_file(file)["features"]
    except (OSError, SafetensorError, KeyError):
        features = make()
        with suppress(OSError):  # a cache that cannot be written costs time only
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(file, lambda temporary: save_file({"features": features.contiguous()}, temporary))
            _make_room(file.parent)
        return features
    with suppress(OSError):
        os.utime(file)
    return features


def _make_room(folder: Path) -> None:
    """Of the entries asked for last as many stay as there is room for."""
    kept = 0
    for file in sorted(folder.iterdir(), key=lambda file: file.stat().st_mtime_ns, reverse=True):
        kept += file.stat().st_size
        if kept > MOST_KEPT:
            file.unlink(missing_ok=True)
