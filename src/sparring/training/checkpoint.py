"""Checkpoints: complete training states, each in one safetensors file that is written atomically."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from sparring.files import CheckpointError, load_tensors, save_tensors
from sparring.migration import present_name

KEPT = 2


class Checkpoints:
    """The folder of a run's checkpoints, named by samples seen; it keeps the newest `keep`."""

    def __init__(self, folder: Path, keep: int = KEPT) -> None:
        self.folder, self.keep = folder, keep

    def save(self, samples_seen: int, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> Path:
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{samples_seen:012d}.safetensors"
        save_tensors(path, tensors, meta)
        for old in self.paths()[: -self.keep]:
            if old != path:  # a damaged checkpoint may have more samples
                old.unlink(missing_ok=True)
        return path

    def paths(self) -> list[Path]:
        """Oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if re.fullmatch(r"\d{12}\.safetensors", path.name))

    def load_latest(self) -> tuple[dict[str, Tensor], dict[str, Any], list[str]] | None:
        """The newest readable state and the problems with newer ones; None if there is no checkpoint."""
        problems: list[str] = []
        for path in reversed(self.paths()):
            try:
                tensors, meta = load_tensors(path)
                return {present_name(name): tensor for name, tensor in tensors.items()}, meta, problems
            except CheckpointError as error:
                problems.append(str(error))
        if problems:
            raise CheckpointError(problems[0])
        return None
