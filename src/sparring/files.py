"""Atomic writing of files, and safetensors files with JSON metadata."""

import errno
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sparring.plain_json import read_json


class CheckpointError(ValueError):
    """A file is not a usable checkpoint; the message says what to do."""


def write_atomic(path: Path, write: Any) -> None:
    """Calls `write(temporary_path)`, then moves the file to `path`: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Writes tensors and a JSON-able dict to one safetensors file, atomically."""
    cpu = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}

    def write(temporary: Path) -> None:
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(cpu, temporary, metadata={"sparring": json.dumps(meta)})
        except SafetensorError as error:  # the system's error number is only in its text
            found = re.search(r"os error (\d+)", str(error))
            number = int(found[1]) if found else errno.EIO
            raise OSError(number, os.strerror(number), str(path)) from error
        temporary.chmod(mode)  # safetensors makes it readable by the owner only

    write_atomic(path, write)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads a file of `save_tensors`; raises `CheckpointError` for any other file."""
    try:
        with safe_open(path, framework="pt") as file:
            meta = read_json((file.metadata() or {})["sparring"])
            return {name: file.get_tensor(name) for name in file.keys()}, meta  # noqa: SIM118
    except FileNotFoundError:
        raise
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or not from sparring ({error}): restore it or delete it") from error


def file_name(title: str) -> str:
    """A file name, without suffix, made from a title."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", title).strip("-") or "sample"
