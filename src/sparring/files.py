"""Atomic writing of files, and safetensors files with JSON metadata and a digest."""

import errno
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from sparring.plain_json import read_json
from sparring.regular_files import open_regular

DIGEST = "digest"


class CheckpointError(ValueError):
    """A file is not a usable checkpoint; the message says what to do."""


def write_atomic(path: Path, write: Any) -> None:
    """Calls `write(temporary_path)`, then moves the file to `path`: readers see the old file or the new one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")  # process numbers repeat in containers
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Whether a file is the temporary file of a `write_atomic`, or of safetensors, that was killed or still writes."""
    return re.fullmatch(r"\..+\.[0-9a-f]+\.tmp|\.tmp\w{6}", path.name) is not None


def remove_leftovers(folder: Path) -> None:
    """Removes the temporary files that killed processes left in `folder`; no process may be writing there."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if is_leftover(path):
            path.unlink(missing_ok=True)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Writes tensors, a JSON-able dict and the digest of both to one safetensors file, atomically."""
    cpu = {name: tensor.detach().to("cpu").contiguous() for name, tensor in tensors.items()}
    text = json.dumps({**meta, DIGEST: _digest(cpu, json.dumps(meta))})  # one entry: safetensors does not sort several

    def write(temporary: Path) -> None:
        temporary.touch()
        mode = temporary.stat().st_mode
        try:
            save_file(cpu, temporary, metadata={"sparring": text})
        except SafetensorError as error:  # the system's error number is only in its text
            found = re.search(r"os error (\d+)", str(error))
            number = int(found[1]) if found else errno.EIO
            raise OSError(number, os.strerror(number), str(path)) from error
        temporary.chmod(mode)  # safetensors makes it readable by the owner only

    write_atomic(path, write)


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Reads a file of `save_tensors`; raises `CheckpointError` for any other file and for changed bytes.

    Files of older versions have no digest.
    """
    try:
        with open_regular(path, sys.maxsize, CheckpointError), safe_open(path, framework="pt") as file:
            meta = read_json((file.metadata() or {})["sparring"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if not isinstance(meta, dict):
            raise ValueError("its metadata are no object")
        digest = meta.pop(DIGEST, None)
        if digest is not None and digest != _digest(tensors, json.dumps(meta)):
            raise ValueError("its content does not match its digest")
        return tensors, meta
    except FileNotFoundError:
        raise
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise CheckpointError(f"{path} is damaged or not from sparring ({error}): restore it or delete it") from error


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    """A hex digest of names, types, shapes and bytes."""
    state = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        state.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        state.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return state.hexdigest()


def file_name(title: str) -> str:
    """A file name, without suffix, made from a title."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", title).strip("-") or "sample"
