"""Limits on what a small input may cost: memory, work in flight, and files that never end."""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from sparring.data.errors import DataError

ALWAYS_ALLOWED = 1024**3
"""Bytes that any file may unpack to; most machines have them."""

MOST_EXPANSION = 100
"""Bytes that larger files may unpack to for each of their own. Compressed MNIST has 5, piano rolls and masks up to 50;
only constants have more."""

LARGEST_SAMPLE = 2**27
"""Numbers in one sample; 16 frames of 1920x1080 have 100 million."""


def require_regular(path: str) -> None:
    """Raises DataError for a FIFO, device or socket, which may block for ever; a missing file is no concern here."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(f"{path} is a pipe, device or socket: save its content to a file and give that")


def justified(path: str) -> int:
    """The bytes that a file may unpack to."""
    return max(ALWAYS_ALLOWED, MOST_EXPANSION * os.path.getsize(path))


def require_justified(path: str, needed: int, todo: str) -> None:
    """Raises DataError if the file at `path` unpacks to more bytes than its size justifies, or than there is memory."""
    size = os.path.getsize(path)
    if needed > justified(path):
        raise DataError(
            f"{path} has {spelled(size)} but would take {spelled(needed)} of memory, more than {MOST_EXPANSION} times "
            f"its size: {todo}"
        )
    there = _memory()
    if there and needed > there:
        raise DataError(f"{path} would take {spelled(needed)} of memory, and this machine has {spelled(there)}: {todo}")


def _memory() -> int:
    """The machine's memory in bytes; 0 where it is unknown."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 0


def spelled(size: int) -> str:
    """A number of bytes for people."""
    for unit, scale in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >= 1 << scale:
            return f"{size / (1 << scale):.1f} {unit}"
    return f"{size} bytes"


def require_usable(name: str, shape: tuple[int, ...]) -> None:
    """Raises DataError if one picture or clip has more numbers than anybody trains on."""
    if math.prod(shape) > LARGEST_SAMPLE:
        needed = spelled(4 * math.prod(shape))
        raise DataError(
            f"a sample of {name} has {'x'.join(map(str, shape))} numbers and would take {needed}: "
            "pass e.g. --resolution 128 to crop and resize"
        )


class Budget:
    """An amount that threads share: each holds what it needs, and waits while others hold too much.

    Who needs more than the whole budget waits until nobody else holds anything.
    """

    def __init__(self, amount: int) -> None:
        self._amount, self._held = amount, 0
        self._changed = Condition()

    @contextmanager
    def hold(self, needed: int) -> Iterator[None]:
        needed = min(needed, self._amount)
        with self._changed:
            self._changed.wait_for(lambda: self._held + needed <= self._amount)
            self._held += needed
        try:
            yield
        finally:
            with self._changed:
                self._held -= needed
                self._changed.notify_all()
