"""Reading files that somebody else may have written: only regular files, and only up to a size.

A link to a device never ends, and a named pipe (FIFO) waits for a writer; neither is opened for reading here.
"""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

_FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


@contextlib.contextmanager
def open_regular(path: Path, limit: int, error: type[Exception]) -> Iterator[BinaryIO]:
    """The regular file `path`, opened for reading bytes. Raises `error` for anything else and for more than `limit`
    bytes, `FileNotFoundError` for nothing."""
    descriptor = os.open(path, _FLAGS)  # without O_NONBLOCK, it waits for a FIFO's writer
    facts = os.fstat(descriptor)  # not of the path, which may have been replaced
    if not stat.S_ISREG(facts.st_mode):
        os.close(descriptor)
        raise error(f"{path} is no regular file: put a copy of the file in its place")
    with open(descriptor, "rb") as file:
        _limited(path, facts.st_size, limit, error)
        yield file


def read_regular(path: Path, limit: int, error: type[Exception]) -> bytes:
    """The content of `path`; raises as `open_regular` does."""
    with open_regular(path, limit, error) as file:
        content = file.read(limit + 1)  # some files of /proc are larger than they say
    _limited(path, len(content), limit, error)
    return content


def _limited(path: Path, size: int, limit: int, error: type[Exception]) -> None:
    if size > limit:
        raise error(f"{path} is too large: it may have {limit:,} bytes at most")
