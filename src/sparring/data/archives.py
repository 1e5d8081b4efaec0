"""Sources of image files: a folder, a zip or a tar archive."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import struct
import tarfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable
from threading import Lock
from typing import IO, Any, ClassVar

from PIL import UnidentifiedImageError

from sparring.data.budgets import MOST_EXPANSION, spelled
from sparring.data.dataset import DataError, natural_key, printable

TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2")
EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
HEAD_BYTES = 64 * 1024  # that hold the header of most pictures
MAX_FILE_BYTES = 512 * 1024**2
_ALWAYS_UNPACKED = 64 * 1024**2  # bytes that any archive, or a file in it, may have when decompressed

# Pillow, zipfile and tarfile raise all of these on damaged files, besides their own error types.
PARSE_ERRORS = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    zlib.error,
)
ARCHIVE_ERRORS = (*PARSE_ERRORS, tarfile.TarError, zipfile.BadZipFile)


class Source(ABC):
    """The image files of a folder or archive."""

    endings: ClassVar[tuple[str, ...]] = EXTENSIONS

    def __init__(self) -> None:
        self.rereadable = True  # whether random access is fast
        self.names: list[str] = []  # relative to the set, separated by "/"
        self.sizes: list[int] = []  # bytes
        self.unreadable: list[str] = []
        self.other_files = 0

    @abstractmethod
    def read(self, index: int, limit: int = -1) -> bytes:
        """The bytes of a file, at most `limit` unless negative. Thread-safe; raises one of ARCHIVE_ERRORS."""

    def checksum(self, index: int) -> str:
        """The checksum of a file that the source stores; empty without one."""
        return ""

    def mark(self, index: int, *, whole: bool) -> str:
        """By which a changed file is noticed: its checksum, else a digest of its bytes, or of the first ones only.

        Not the file's time, which changes when a data set moves to another machine.
        """
        try:
            return self.checksum(index) or mark_of(self.read(index, -1 if whole else HEAD_BYTES))
        except ARCHIVE_ERRORS:
            return ""

    def _accept(self, raw_name: str, size: int) -> bool:
        """Adds a file unless it is hidden, a system file or no image; returns whether it was added."""
        parts = [part for part in raw_name.replace("\\", "/").split("/") if part not in ("", ".", "..")]
        if not parts or any(part.startswith(".") or part == "__MACOSX" for part in parts):
            return False
        if not parts[-1].lower().endswith(self.endings):
            self.other_files += parts[-1].lower() not in ("thumbs.db", "desktop.ini")
            return False
        self.names.append("/".join(parts))
        self.sizes.append(size)
        return True

    def _check_size(self, index: int) -> None:
        if self.sizes[index] > MAX_FILE_BYTES:
            raise OSError(f"the file has {spelled(self.sizes[index])}, more than {spelled(MAX_FILE_BYTES)}: split it")


class FolderSource(Source):
    """Image files below a folder, in natural order; links to folders are followed, each folder is read once."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._paths = []
        for name, file, size in sorted(self._walk(path), key=lambda entry: natural_key(entry[0])):
            if self._accept(name, size):
                self._paths.append(file)

    def read(self, index: int, limit: int = -1) -> bytes:
        self._check_size(index)
        with open(self._paths[index], "rb") as handle:
            return handle.read(limit)

    def _walk(self, root: str) -> Iterable[tuple[str, str, int]]:
        # Folders come before links, so that a linked folder keeps its own name.
        waiting = deque([(root, "")])
        seen = set()
        while waiting:
            folder, prefix = waiting.popleft()
            try:
                status = os.stat(folder)
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except OSError as error:
                if not prefix:
                    raise DataError(f"cannot read the folder {root}: {error.strerror}") from error
                self.unreadable.append(printable(f"{prefix}: {error.strerror}"))
                continue
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            for entry in entries:
                name = prefix + entry.name
                if entry.name.startswith(".") or entry.name == "__MACOSX":
                    continue
                if os.path.isdir(entry.path):
                    add = waiting.append if entry.is_symlink() else waiting.appendleft
                    add((entry.path, name + "/"))
                elif os.path.isfile(entry.path):
                    yield name, entry.path, os.stat(entry.path).st_size
                elif name.lower().endswith(self.endings):
                    self.unreadable.append(printable(f"{name}: not a file, or a broken link"))


class ZipSource(Source):
    """Image members of a zip archive, in natural order; nothing is extracted to disk."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._lock = Lock()
        try:
            self._archive = zipfile.ZipFile(path)
            entries = sorted(self._archive.infolist(), key=lambda info: natural_key(info.filename))
        except ARCHIVE_ERRORS as error:
            raise DataError(f"{path} is not a readable zip archive ({reason(error)})") from error
        # Not `is_dir`, which fails on the empty name of a damaged entry.
        files = [info for info in entries if not info.filename.endswith("/")]
        self._infos = [info for info in files if self._accept(info.filename, info.file_size)]

    def read(self, index: int, limit: int = -1) -> bytes:
        self._check_size(index)
        packed = self._infos[index].compress_size
        if limit < 0 and self.sizes[index] > max(_ALWAYS_UNPACKED, MOST_EXPANSION * packed):
            # Pictures and videos are compressed already: what shrinks so much in a zip is neither.
            raise OSError(f"its {spelled(packed)} would unpack to {spelled(self.sizes[index])}: unpack the archive")
        with self._lock, self._archive.open(self._infos[index]) as member:
            return member.read(limit)

    def checksum(self, index: int) -> str:
        return f"{self._infos[index].CRC:08x}"


class _Unpacked:
    """The bytes of a tar archive, decompressed, but not more than its size justifies."""

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            start = file.read(6)
        openers: dict[bytes, Callable[[str], Any]] = {
            b"\x1f\x8b": gzip.open,
            b"BZh": bz2.open,
            b"\xfd7zXZ\0": lzma.open,
            b"]\0\0": lzma.open,
        }
        opener = next((opener for magic, opener in openers.items() if start.startswith(magic)), None)
        self.compressed = opener is not None
        self._file: IO[bytes] = open(path, "rb") if opener is None else opener(path)  # noqa: SIM115
        self._path, self._size = path, os.path.getsize(path)
        self._limit = max(_ALWAYS_UNPACKED, MOST_EXPANSION * self._size)

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        if self.compressed and whence == os.SEEK_SET and offset > self._limit:
            raise DataError(
                f"{self._path} has {spelled(self._size)} but would unpack to {spelled(offset)} or more, over "
                f"{MOST_EXPANSION} times its size: unpack it, or split it"
            )
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


class TarSource(Source):
    """Image members of a tar archive, plain or compressed, in the archive's order."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._lock = Lock()
        try:
            unpacked = _Unpacked(path)
            # Seeking back in a compressed archive decompresses it again from the start.
            self.rereadable = not unpacked.compressed
            self._archive = tarfile.open(fileobj=unpacked, mode="r:")  # type: ignore[call-overload] # noqa: SIM115
            entries = self._archive.getmembers()
        except DataError:
            raise
        except ARCHIVE_ERRORS as error:
            raise DataError(f"{path} is not a readable tar archive ({reason(error)})") from error
        self._infos = [info for info in entries if info.isreg() and self._accept(info.name, info.size)]

    def read(self, index: int, limit: int = -1) -> bytes:
        self._check_size(index)
        with self._lock:
            member = self._archive.extractfile(self._infos[index])
            return b"" if member is None else member.read(limit)


def mark_of(data: bytes) -> str:
    """A short digest, by which changed files are noticed."""
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def reason(error: Exception) -> str:
    """The error's text on one line."""
    if isinstance(error, UnidentifiedImageError):
        return "not a readable image"  # Pillow's message contains a memory address
    return printable(str(error)) or type(error).__name__
