"""Conditions that are numbers: from a data set's labels, or from a separate file."""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from sparring.data.arrays import CONDITIONS, load_arrays
from sparring.data.conditions import Vectors, numbers_in
from sparring.data.dataset import DataError, Dataset, read_rows, refined

NUMBERS = "numbers"
MAX_NUMBERS = 4096
"""Largest size of a condition."""

Values = npt.NDArray[np.float64]


def conditioned(dataset: Dataset, condition: str) -> Dataset:
    """The data set with conditions instead of classes: its labels as "numbers", or the rows of a file.

    Held-out samples have neither, because metrics compare samples of all conditions.
    """
    names: Sequence[str]
    if condition == NUMBERS:
        values, names = _of_labels(dataset), ()
    else:
        values, names = _of_file(condition, dataset)
    if not 1 <= values.shape[1] <= MAX_NUMBERS:
        raise DataError(
            f"--data.condition {condition} gives {values.shape[1]} numbers a sample: give 1 to {MAX_NUMBERS}"
        )
    rows = torch.from_numpy(values).float()
    if not rows.isfinite().all():
        row = int((~rows.isfinite()).any(1).nonzero()[0])
        raise DataError(f"--data.condition {condition}: the numbers of sample {row + 1} are not finite")
    conditioned = _without_classes(dataset)
    conditioned.conditions, conditioned.conditioned_on = rows, Vectors.fit(rows, names)
    conditioned.fingerprint = refined(dataset.fingerprint, rows, names)
    if dataset.held_out is not None:
        conditioned.held_out = _without_classes(dataset.held_out)
    return conditioned


def _without_classes(dataset: Dataset) -> Dataset:
    plain = copy.copy(dataset)
    plain.classes, plain.class_names = torch.zeros_like(dataset.classes), []
    return plain


def _of_labels(dataset: Dataset) -> Values:
    if not dataset.class_names:
        why = f" ({'; '.join(dataset.notes)})" if dataset.notes else ""
        raise DataError(f"--data.condition numbers needs labels, but {dataset.name} has none{why}")
    try:
        rows = [numbers_in(name) for name in dataset.class_names]
    except ValueError as error:
        raise DataError(
            f"--data.condition numbers: the label {str(error)!r} is not a number: drop the option to use classes"
        ) from None
    sizes = {len(row): name for row, name in zip(rows, dataset.class_names, strict=True)}
    if len(sizes) > 1:
        first, second = list(sizes.values())[:2]
        raise DataError(f"--data.condition numbers: the labels {first!r} and {second!r} have different lengths")
    return np.array(rows)[dataset.classes.numpy()]


def _of_file(path: str, dataset: Dataset) -> tuple[Values, Sequence[str]]:
    """Each sample's row, and the names of the columns, if the file has some."""
    suffix = Path(path).suffix.lower()
    if suffix not in (".npz", ".npy", ".csv"):
        raise DataError(f"--data.condition must be {NUMBERS} or a .npz, .npy or .csv file, not {path}")
    if not Path(path).is_file():
        raise DataError(f"there is no file {path!r} for --data.condition")
    values, names = _read_csv(path) if suffix == ".csv" else (_read_arrays(path), [])
    indices, count = dataset.file_rows or (torch.arange(len(dataset)), len(dataset))
    if len(values) != count:
        raise DataError(f"{path} holds {len(values)} rows for {count} samples: give one row a sample, in their order")
    return values[indices.numpy()], names


def _read_arrays(path: str) -> Values:
    arrays = load_arrays(path)
    if path.lower().endswith(".npz") and CONDITIONS not in arrays:
        have = ", ".join(sorted(arrays)) or "no arrays"
        raise DataError(f"{path} holds {have}: name the array of conditions {CONDITIONS!r}")
    (values,) = [arrays[CONDITIONS]] if CONDITIONS in arrays else arrays.values()
    if values.dtype.kind not in "biuf" or values.ndim not in (1, 2):
        raise DataError(
            f"{path} holds {values.dtype} values of the shape {values.shape}: conditions must be numbers (N, K)"
        )
    return values.reshape(len(values), -1).astype(np.float64)


def _read_csv(path: str) -> tuple[Values, Sequence[str]]:
    rows, names = read_rows(path, "conditions"), list[str]()
    if not all(map(_is_number, rows[0])):
        names, rows = rows[0], rows[1:]
    for row in rows:
        if len(row) != len(rows[0]) or (names and len(row) != len(names)):
            raise DataError(f"{path}: the row {','.join(row)!r} has {len(row)} numbers, others have {len(rows[0])}")
        if invalid := [cell for cell in row if not _is_number(cell)]:
            raise DataError(f"{path}: {invalid[0]!r} is not a number")
    return np.array(rows, np.float64).reshape(len(rows), -1), names


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
