"""The interface of a data set, and labels as class numbers."""

from __future__ import annotations

import csv
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, ClassVar, Literal

import torch

from sparring.data.budgets import require_regular
from sparring.data.channels import Channels
from sparring.data.conditions import Classes, Condition, Unconditional
from sparring.data.errors import DataError as DataError
from sparring.data.errors import printable as printable

if TYPE_CHECKING:
    from sparring.data.vocabulary import Vocabulary

MEMORY_LIMIT = 2 * 1024**3
"""Bytes of decoded pixels kept in memory; larger image sets are decoded on demand."""

Conditional = bool | Literal["numbers"]
"""How labels are read: ignored, as classes, or as numbers, which may be different for every sample."""

IGNORED_LABELS = "the set has labels, which are ignored as asked"

_FILE_COLUMNS = {"file", "filename", "file_name", "image", "path", "name", "id"}
LABEL_COLUMNS = {"label", "labels", "class", "target", "category"}
_SHOWN = 5


@dataclass(kw_only=True, eq=False)
class Dataset(ABC):
    """A fixed collection of samples, each with a class number or other condition.

    A sample is an image (C, H, W), a series (C, T), a clip (C, T, H, W) or a text (L,) of token numbers.
    """

    name: str
    modality: str  # the name of an entry of `sparring.modalities.registry.MODALITIES`
    sample_shape: tuple[int, ...]
    classes: torch.Tensor  # (N,) int64, zeros where there are no labels
    class_names: list[str]
    fingerprint: str
    value_range: str
    image_modes: dict[str, int] = field(default_factory=dict)
    resized: str = ""
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    held_out: Dataset | None = None
    channels: Channels | None = None  # scaling of series
    vocabulary: Vocabulary | None = None  # tokens of texts
    conditions: torch.Tensor | None = None  # (N, K) float32, if samples are conditioned on numbers instead of classes
    conditioned_on: Condition | None = None  # describes `conditions`
    file_rows: tuple[torch.Tensor, int] | None = None  # (N,) rows of the file, and its row count

    storage: ClassVar[str]

    @abstractmethod
    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Samples (B, *sample_shape) float32 and their conditions (B, ...), for indices (B,).

        Pixels lie in [-1, 1]; series are scaled by `channels`; texts are int64.
        """

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 without labels."""
        return len(self.class_names)

    @property
    def condition(self) -> Condition:
        """The description of the samples' conditions."""
        if self.conditioned_on is not None:
            return self.conditioned_on
        return Classes(tuple(self.class_names)) if self.class_names else Unconditional()

    def conditions_of(self, indices: torch.Tensor) -> torch.Tensor:
        """Conditions of samples `indices` (B,): class numbers (B,) int64, or numbers (B, K) float32."""
        return (self.classes if self.conditions is None else self.conditions)[indices]

    def labels(self) -> torch.Tensor:
        """The class of every sample: (N,) int64, zeros without labels."""
        return self.classes

    def describe(self) -> dict[str, object]:
        """Facts in JSON types, for the user to check before training."""
        counts = torch.bincount(self.classes, minlength=self.num_classes).tolist()
        return {
            "name": printable(self.name),
            "count": len(self),
            "sample_shape": list(self.sample_shape),
            "value_range": self.value_range,
            "modes": dict(self.image_modes),
            "classes": dict(zip(map(printable, self.class_names), counts, strict=False)),
            "conditions": self._ranges(),
            "storage": self.storage,
            "resized": self.resized,
            "skipped": {"count": len(self.skipped), "first": self.skipped[:_SHOWN]},
            "held_out": 0 if self.held_out is None else len(self.held_out),
            "notes": list(self.notes),
            "fingerprint": self.fingerprint,
        }

    def _ranges(self) -> dict[str, str]:
        """The ranges of the first few numbers that samples are conditioned on."""
        if self.conditions is None:
            return {}
        low, high = (values[:_SHOWN].tolist() for values in (self.conditions.amin(0), self.conditions.amax(0)))
        ranges = [f"{minimum:.4g} to {maximum:.4g}" for minimum, maximum in zip(low, high, strict=True)]
        names = [printable(name) for name in self.condition.names]
        more = {"more": str(len(names) - _SHOWN)} if len(names) > _SHOWN else {}
        return dict(zip(names, ranges, strict=False)) | more


@dataclass(kw_only=True, eq=False)
class TensorDataset(Dataset):
    """Samples in memory: uint8 in 0..255, or float32 that is already scaled."""

    samples: torch.Tensor  # (N, *sample_shape)

    storage: ClassVar[str] = "in memory"

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = indices.to("cpu", torch.int64)
        samples = self.samples[chosen]
        if samples.dtype == torch.uint8:
            samples = samples.float() / 127.5 - 1
        return samples, self.conditions_of(chosen)


def digest(*parts: object) -> str:
    """A hex digest of `parts`; tensors contribute shape, type and bytes."""
    state = hashlib.blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, torch.Tensor):
            state.update(f"{part.dtype}{tuple(part.shape)}".encode())
            state.update(part.contiguous().numpy().data)
        else:
            state.update(repr(part).encode("utf-8", "backslashreplace"))
        state.update(b"\0")
    return state.hexdigest()


_FORM = "2"  # of fingerprints


def versioned(fingerprint: str, former: str) -> str:
    """A fingerprint together with the one that earlier versions made, so that their runs still recognise the data."""
    return f"{_FORM}:{fingerprint}:{former}"


def refined(fingerprint: str, *parts: object) -> str:
    """The fingerprint of a data set that was made from another one and `parts`."""
    if not fingerprint.startswith(f"{_FORM}:"):
        return digest(fingerprint, *parts)
    return versioned(*(digest(part, *parts) for part in fingerprint.split(":")[1:]))


def same_data(stored: str, fingerprint: str) -> bool:
    """Whether a run with the fingerprint `stored`, perhaps by an earlier version, was trained on this data."""
    former = fingerprint.rpartition(":")[2] if fingerprint.startswith(f"{_FORM}:") else fingerprint
    return stored in (fingerprint, former)


def natural_key(text: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key under which `img2` comes before `img10`."""
    pieces = re.split("([0-9]+)", text)
    numbered = []
    for position, piece in enumerate(pieces):
        digits = piece.lstrip("0")
        numbered.append((len(digits), digits) if position % 2 else (0, piece.casefold()))
    return numbered, text


def number_classes(labels: Sequence[str] | None, count: int) -> tuple[torch.Tensor, list[str]]:
    """Class numbers (N,) and naturally sorted class names; zeros and no names when `labels` is None."""
    if labels is None:
        return torch.zeros(count, dtype=torch.int64), []
    names = sorted(set(labels), key=natural_key)
    number = {name: index for index, name in enumerate(names)}
    return torch.tensor([number[label] for label in labels], dtype=torch.int64), names


def renumbered(classes: torch.Tensor, names: Sequence[str], wanted: Sequence[str]) -> torch.Tensor:
    """Maps class numbers (N,) of `names` to those of the same names in `wanted`; -1 if a name is missing."""
    number = {name: index for index, name in enumerate(wanted)}
    table = torch.tensor([number.get(name, -1) for name in names] or [-1], dtype=torch.int64)
    return table[classes.cpu()]


def read_rows(path: str, holding: str = "labels") -> list[list[str]]:
    """The non-empty rows of a CSV file, cells stripped."""
    require_regular(path)
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            rows = [[cell.strip() for cell in row] for row in csv.reader(handle)]
    except (OSError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise DataError(f"cannot read the {holding} file {path}: {error}") from error
    rows = [row for row in rows if any(row)]
    if not rows:
        raise DataError(f"the {holding} file {path} is empty: it needs one row per sample")
    return rows


def labels_by_row(path: str, count: int) -> list[str]:
    """`count` labels from a CSV file with one label per row; the header is optional."""
    rows = read_rows(path)
    if any(len(row) != 1 for row in rows):
        raise DataError(f"{path} must hold one label per row and nothing else, in the order of the samples")
    cells = [row[0] for row in rows]
    if len(cells) == count + 1:
        cells = cells[1:]
    if len(cells) != count:
        raise DataError(f"{path} holds {len(cells)} labels for {count} samples: the counts must match")
    return cells


def labels_by_file(path: str, files: Sequence[str]) -> list[str]:
    """The label of each of `files` from a CSV file with the columns file,label (header optional).

    A row names a file by its path inside the set or by its base name. Files and rows must match one to one.
    """
    exact = set(files)
    by_name: dict[str, list[str]] = {}
    for file in files:
        by_name.setdefault(PurePosixPath(file).name, []).append(file)

    def matches(cell: str) -> list[str]:
        wanted = cell.replace("\\", "/").removeprefix("./")
        return [wanted] if wanted in exact else by_name.get(wanted, [])

    rows = read_rows(path)
    file_column, label_column = 0, 1
    if not matches(rows[0][0]):
        header = _header_columns(rows[0])
        if header is not None:
            file_column, label_column = header
            rows = rows[1:]
    found: dict[str, str] = {}
    unknown: list[str] = []
    for row in rows:
        if len(row) <= max(file_column, label_column) or not row[label_column]:
            raise DataError(f"{path}: the row {','.join(row)!r} has no label; the columns are file,label")
        cell, label = row[file_column], row[label_column]
        candidates = matches(cell)
        if len(candidates) > 1:
            raise DataError(
                f"{path}: {cell} may mean {candidates[0]} or {candidates[1]}; write the whole path in the row"
            )
        if not candidates:
            unknown.append(cell)
        elif found.setdefault(candidates[0], label) != label:
            raise DataError(f"{path} gives {cell} two labels, {found[candidates[0]]} and {label}")
    _refuse(path, unknown, "name no image of the set", "rows")
    _refuse(path, [file for file in files if file not in found], "have no row in it", "images")
    return [found[file] for file in files]


def _header_columns(row: list[str]) -> tuple[int, int] | None:
    """The file and label columns if `row` is a header, else None."""
    cells = [cell.lower() for cell in row]
    file_column = next((index for index, cell in enumerate(cells) if cell in _FILE_COLUMNS), None)
    if file_column is None:
        return None if "." in row[0] else (0, 1)
    others = [index for index in range(len(cells)) if index != file_column]
    named = [index for index in others if cells[index] in LABEL_COLUMNS]
    return file_column, (named or others or [file_column + 1])[0]


def _refuse(path: str, mismatches: list[str], what: str, noun: str) -> None:
    if mismatches:
        first = ", ".join(mismatches[:_SHOWN])
        raise DataError(f"{path} does not match the images: {len(mismatches)} {noun} {what} (first: {first})")
