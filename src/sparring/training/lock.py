"""The lock of a run's folder: one training at a time. The operating system releases it when a process ends."""

import contextlib
import os
import platform
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from sparring.config import ConfigError

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Makes the folder and holds its lock; raises `ConfigError` if another training holds it. Readers need no lock."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / LOCK
    lock = FileLock(file, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise ConfigError(
            f"{folder} is being trained by {_holder(file)}: wait for it, stop it, or use another --out"
        ) from None
    except NotImplementedError:  # a file system without locks
        yield
        return
    try:
        with contextlib.suppress(OSError):  # Windows locks the content too
            file.write_text(f"process {os.getpid()} on {platform.node()}", encoding="utf-8")
        yield
    finally:
        lock.release()


def _holder(file: Path) -> str:
    with contextlib.suppress(OSError):
        return file.read_text(encoding="utf-8", errors="replace")[:200] or "another process"
    return "another process"
