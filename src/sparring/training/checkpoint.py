"""Checkpoints: complete training states, each in one safetensors file that is written atomically."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from sparring.files import CheckpointError, load_tensors, save_tensors
from sparring.migration import present_name

KEPT = 2

Count = Annotated[int, Field(ge=0)]
Restored = TypeVar("Restored")


class Counts(BaseModel):
    """The counts of a trainer."""

    model_config = ConfigDict(strict=True, frozen=True)

    samples_seen: Count
    rollbacks: Count


class Meta(Counts):
    """The metadata of a checkpoint: the counts of the GAN's trainer, and facts of the run."""

    codec: Counts | None = None
    seconds: float = Field(ge=0, allow_inf_nan=False)
    threads: int | None = Field(None, ge=1)
    data: str
    """The fingerprint of the data."""
    precision: Literal["float32", "bfloat16"] | None = None
    """Unset in checkpoints of older versions."""

    @classmethod
    def read(cls, values: Any) -> Self:
        """Raises `ValueError` that names the first entry of another type."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "metadata"
            raise ValueError(f"{place}: {first['msg']}") from None


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

    def restore_latest(
        self, restore: Callable[[dict[str, Tensor], dict[str, Any]], Restored]
    ) -> tuple[Restored, list[str]] | None:
        """Calls `restore` with the newest state that is readable and that it accepts.

        `restore` raises `ValueError` for a state that does not fit. Returns its result and the problems with newer
        states, or None if there is no checkpoint; raises `CheckpointError` if none can be used.
        """
        problems: list[str] = []
        for path in reversed(self.paths()):
            try:
                tensors, meta = load_tensors(path)
                return restore({present_name(name): tensor for name, tensor in tensors.items()}, meta), problems
            except CheckpointError as error:
                problems.append(str(error))
            except ValueError as error:
                reason = " ".join(str(error).split())
                problems.append(f"{path} does not fit the run ({reason}): restore it or delete it")
        if problems:
            raise CheckpointError(problems[0])
        return None
