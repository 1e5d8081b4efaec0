"""Tables of numbers from CSV, Parquet and NumPy files, read block by block into one float32 array."""

from __future__ import annotations

import re
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, pairwise
from typing import IO

import numpy as np
import numpy.typing as npt

from sparring.data.arrays import (
    CONDITIONS,
    IMAGE_KEYS,
    LABEL_KEYS,
    LOAD_ERRORS,
    Array,
    label_names,
    load_arrays,
    load_error,
)
from sparring.data.channels import default_names
from sparring.data.dataset import Conditional, DataError
from sparring.data.table_blocks import (
    BLOCK_CELLS,
    UNNAMED,
    Block,
    Values,
    csv_blocks,
    is_missing,
    is_number,
    parquet_blocks,
    to_float32,
)

CSV_ENDINGS = (".csv", ".tsv", ".txt")

_PLACES = ["sample", "step"]  # the first columns of tables by `sparring sample`
_ROW_WISE_COLUMNS = 8  # a CSV with more columns, without --window, has one series a row
_MOST_CLASSES = 100
_TIME_NAMES = {"time", "times", "date", "datetime", "timestamp", "epoch"}
_COUNT_NAMES = {"id", "index", "unix"}
_PANDAS_INDEX = re.compile(r"unnamed\b|__index_level_\d+__", re.IGNORECASE)
_LABEL_NAMES = {"label", "labels", "class", "target", "category", "activity"}
_MOMENT = re.compile(  # a date, a time of day or both
    r"(?=.*[-/.: ])(\d{1,4}[-/. ]([0-3]?\d|[A-Za-z]{3,9})[-/. ,]+\d{1,4}|\d{4}[-/]\d\d?|[A-Za-z]{3,9} \d\d?, ?\d{4})?"
    r"[T ,]*([0-2]?\d:\d\d(:\d\d([.,]\d+)?)?( ?[AaPp][Mm])?)? ?(Z|UTC|[+-]\d\d:?\d\d)?"
)


@dataclass
class Table:
    """The series of a file or folder, one below the other; missing values are NaN.

    A `long` table is one series (one for each file of a folder) with a label for each row. Other tables have a label
    for each series.
    """

    values: Values  # (R, C)
    spooled: bool
    names: list[str]  # of the C channels
    ends: npt.NDArray[np.int64]  # (S,) the row after each series
    long: bool
    labels: Callable[[Conditional], Sequence[str]] | None = None  # returns R or S labels, or raises DataError
    notes: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)


class Spool:
    """float32 rows of `width` numbers, in memory up to `memory_limit` bytes, beyond in a temporary file."""

    def __init__(self, path: str, width: int, memory_limit: int) -> None:
        self._path, self._width, self._limit = path, width, memory_limit
        self._held = bytearray()
        self._file: IO[bytes] | None = None
        self.rows = 0

    def add(self, values: Values) -> None:
        """Appends rows (n, width)."""
        self.rows += len(values)
        try:
            if self._file is None and len(self._held) + values.nbytes > self._limit:
                self._file = tempfile.TemporaryFile()  # noqa: SIM115 - the memory map keeps it open
                self._file.write(self._held)
                self._held = bytearray()
            if self._file is None:
                self._held += values.tobytes()
            else:
                self._file.write(values.tobytes())
        except (OSError, MemoryError) as error:
            raise self._no_room(error) from error

    def finish(self) -> tuple[Values, bool]:
        """All rows (R, width), writable, and whether they are in a file."""
        shape = (self.rows, self._width)
        if self._file is None:
            return np.frombuffer(self._held, np.float32).reshape(shape), False
        try:
            with self._file as file:
                file.flush()
                return np.memmap(file, np.float32, "r+", shape=shape), True
        except (OSError, ValueError) as error:
            raise self._no_room(error) from error

    def _no_room(self, error: Exception) -> DataError:
        return DataError(
            f"cannot keep the numbers of {self._path} in a temporary file: {error}; "
            "make room there or set TMPDIR to a folder with more"
        )


def read_table(path: str, window: int | None, memory_limit: int, *, alone: bool = True) -> Table:
    """The series of a CSV or Parquet file; with `window` it is one long table.

    The first rows decide each column's kind. Without `window` a CSV has one series a row if it has only numbers, more
    than 8 in a row, and no header; in a .tsv of the UCR archive the class comes first. A table by `sparring sample` has
    one series for each sample. `alone` is False in a folder, whose texts cannot be learned.
    """
    read: Callable[[str], Iterator[Block]] = parquet_blocks if path.lower().endswith(".parquet") else csv_blocks
    blocks = read(path)
    head = next(blocks, None)
    if head is None:
        raise DataError(f"{path} has no rows: it needs numbers below its header")
    kinds = [_kind(path, name, head.texts(column), alone) for column, name in enumerate(head.names)]
    label = kinds.index("label") if "label" in kinds else None
    ends: npt.NDArray[np.int64] | None = None
    notes: list[str] = []
    if head.header and head.names[:2] == _PLACES and kinds[:2] == ["channel"] * 2 and "channel" in kinds[2:]:
        # Other tables may have these columns too, so the whole file is checked.
        ends = _ends_of_samples(read(path), label)
        if ends is None:
            notes.append(
                "the columns 'sample' and 'step' are channels: they do not number the samples and their steps from 0"
            )
        else:
            notes.append("each sample is one series; the columns 'sample' and 'step' were left out")
            kinds[:2] = ["place"] * 2
    channels = [column for column, kind in enumerate(kinds) if kind == "channel"]
    row_wise = window is None and not head.header and len(channels) == len(kinds) > _ROW_WISE_COLUMNS
    if row_wise and path.lower().endswith(".tsv") and _begin_with_classes(head.read(channels)):
        label, channels = 0, channels[1:]
        notes.append("the first column, of a few whole numbers, is the class, as in the UCR archive")
    if window is None and not row_wise and ends is None:
        size = f"{sum(len(block.places) for block in chain([head], blocks))} rows and {len(kinds)} columns"
        raise DataError(f"pass --window N (steps a sample); {path} is one long table of {'; '.join([size, *notes])}")
    if not channels:
        raise DataError(f"{path} has no column of numbers: it needs at least one")
    if kinds.count("label") > 1:
        raise DataError(f"{path} has {kinds.count('label')} columns of class labels: remove all but one")
    labels: list[str] = []
    known: dict[str, str] = {}  # holds each label once
    spool = Spool(path, 1 if row_wise else len(channels), memory_limit)
    for block in chain([head], blocks):
        numbers = block.numbers(channels)
        spool.add(numbers.reshape(-1, 1) if row_wise else numbers)
        if label is not None:
            labels += [known.setdefault(text, text) for text in map(str.strip, block.texts(label))]
            if len(known) > _MOST_CLASSES:
                raise DataError(f"{path}: column {head.names[label]!r} has over {_MOST_CLASSES} labels, remove it")
    steps = len(channels) if row_wise else spool.rows
    if ends is not None:
        labels = [labels[row - 1] for row in ends.tolist()] if labels else []
    reasons = {"time": "holds times", "count": "counts the steps"}
    left_out = ((name, reasons[kind]) for name, kind in zip(head.names, kinds, strict=True) if kind in reasons)
    notes += [f"the column {name!r} {what} and was left out" for name, what in left_out]
    coded = [head.names[column] for column in channels if _words(head.names[column]) & _LABEL_NAMES]
    notes += [f"the column {name!r} of numbers is a channel; class labels are text" for name in coded]
    if row_wise:
        notes.append(f"each row is one series of {steps} steps; with --window N the file is one long table")
    return Table(
        *spool.finish(),
        names=default_names(1) if row_wise else [head.names[column] for column in channels],
        ends=np.arange(steps, spool.rows + 1, steps) if ends is None else ends,
        long=not row_wise and ends is None,
        labels=None if label is None else lambda _: labels,
        notes=notes,
    )


def _ends_of_samples(blocks: Iterator[Block], label: int | None) -> npt.NDArray[np.int64] | None:
    """The row after each sample, from the first two columns: the sample's number and the step.

    None for any other table: each number must have one run of rows, with steps from 0 and one label at most, and some
    run must have several steps.
    """
    rows, place, text = 0, np.full((1, 2), np.nan), ""
    starts, numbers = [], []
    for block in blocks:
        places = block.read((0, 1))
        first = places[:, 1] == 0
        before = np.concatenate([place, places[:-1]])
        goes_on = (places == before + np.array([0, 1])).all(axis=1)
        if label is not None:
            texts = [text, *map(str.strip, block.texts(label))]
            goes_on &= [last == this for last, this in pairwise(texts)]
            text = texts[-1]
        if not (first | goes_on).all():
            return None
        starts.append(rows + np.flatnonzero(first))
        numbers.append(places[first, 0])
        rows, place = rows + len(places), places[-1:]
    ends = np.append(np.concatenate(starts)[1:], rows)
    known = np.concatenate(numbers)
    repeated = len(np.unique(known)) < len(known) or not np.isfinite(known).all()
    return None if repeated or len(ends) == rows else ends


def _begin_with_classes(rows: npt.NDArray[np.float64]) -> bool:
    """Whether the first cells of rows (n, m) are a few whole numbers, unlike the other cells."""
    first, rest = rows[:, 0], rows[:, 1:]
    whole = (first == np.rint(first)).all() and (rest[np.isfinite(rest)] % 1).any()
    return bool(whole) and 2 <= len(np.unique(first)) <= min(_MOST_CLASSES, len(first) // 2)


def _words(name: str) -> set[str]:
    return set(re.split("[^a-z]+", name.lower()))


def _kind(path: str, name: str, cells: Sequence[str], alone: bool) -> str:
    """A column's kind, from its first cells: "channel", "time", "count" or "label"; raises DataError for other text."""
    words = _words(name)
    present = [cell.strip() for cell in cells if not is_missing(cell)]
    texts = [cell for cell in present if not is_number(cell)]
    if 2 * len(texts) <= len(present):
        return "channel" if texts else _kind_of_numbers(name, present)
    if all(map(_MOMENT.fullmatch, texts)):
        return "time"
    if words & _LABEL_NAMES:
        return "label"
    hint = "numbers have a decimal point, class labels the name 'label'"
    # `--field` needs a column with a name, and 1,5 is not text.
    named = path.lower().endswith((".csv", ".tsv")) and name != UNNAMED and not re.fullmatch(r"column \d+", name)
    learnt = alone and named and re.search("[^\\W\\d]", texts[0])
    learn = f", or learn its texts with --field {shlex.quote(name)}" if learnt else ""
    raise DataError(f"the column {name!r} of {path} is text, e.g. {texts[0][:40]!r}: remove it ({hint}){learn}")


def _kind_of_numbers(name: str, cells: Sequence[str]) -> str:
    words, index = _words(name), _PANDAS_INDEX.match(name)
    if not index and not words & (_TIME_NAMES | _COUNT_NAMES):
        return "channel"
    steps = np.diff(list(map(float, cells)))
    runs_on = steps.any() and ((steps >= 0).all() or (steps <= 0).all())
    if runs_on and (index or words & _TIME_NAMES):
        return "count" if index else "time"
    # A column "index" may also be a price index, which rises unevenly.
    return "count" if runs_on and words & _COUNT_NAMES and np.allclose(steps, steps[0], atol=0) else "channel"


def read_arrays(path: str, window: int | None, memory_limit: int) -> Table:
    """The series (N, T, C) or (N, T) of an .npy or .npz file (the array `series`, or the only one besides labels).

    With `window`, (T,) or (T, C) with T > C is one long table; other arrays still have one series a row.
    """
    arrays = {"series": _map(path)} if path.lower().endswith(".npy") else load_arrays(path)
    known = [key for key in ("series", *IMAGE_KEYS) if key in arrays]
    others = [key for key in arrays if key not in (*LABEL_KEYS, CONDITIONS)]
    if not known and len(others) != 1:
        have = ", ".join(sorted(arrays)) or "no arrays"
        raise DataError(f"{path} holds {have}: name the array of series 'series' (and the labels 'labels')")
    key = (known or others)[0]
    array = arrays[key]
    label_key = next((name for name in LABEL_KEYS if name in arrays and name != key), None)
    unused = sorted(set(arrays) - {key, label_key, CONDITIONS})
    notes = [f"series are the array {key!r}; left out: {', '.join(unused)}"] if unused else []
    if array.dtype.kind not in "biuf":
        raise DataError(f"{path} holds {array.dtype} values; series are integers or floats")
    if array.ndim not in (1, 2, 3) or 0 in array.shape:
        raise DataError(f"{path} has an array of the shape {array.shape}; series are (N, T), (N, T, C) or (T, C)")
    if array.ndim == 1 and window is None:
        raise DataError(f"pass --window N (steps a sample); {path} is one long series of {len(array)} steps")
    long = array.ndim == 1 or (array.ndim == 2 and window is not None and len(array) > array.shape[1])
    if array.ndim == 2:
        rows, columns = array.shape
        readings = f"{rows} series of {columns} steps, one a row", f"one table of {rows} steps and {columns} channels"
        other = f"; with{'out' * long} --window it is {readings[not long]}" if rows > columns else ""
        notes.append(f"the array {array.shape} is {readings[long]}{other}")
    steps = 1 if long else array.shape[1]  # table rows for each row of the array
    channels = array.shape[-1] if array.ndim == 3 or (long and array.ndim == 2) else 1
    spool = Spool(path, channels, memory_limit)
    at_once = max(1, BLOCK_CELLS // (steps * channels))

    def locate(start: int, row: int, channel: int) -> str:
        series, step = divmod(row, steps)
        where = f"row {start + row + 1}" if long else f"series {start + series + 1}, step {step + 1}"
        return f"{path}: {where}, channel {channel + 1}"

    for start in range(0, len(array), at_once):
        spool.add(to_float32(array[start : start + at_once].reshape(-1, channels), partial(locate, start)))
    length = spool.rows if long else steps
    return Table(
        *spool.finish(),
        names=default_names(channels),
        ends=np.arange(length, spool.rows + 1, length),
        long=long,
        labels=None if label_key is None else partial(label_names, path, arrays[label_key]),
        notes=notes,
    )


def _map(path: str) -> Array:
    try:
        loaded = np.load(path, mmap_mode="r", allow_pickle=False)
    except LOAD_ERRORS as error:
        raise DataError(f"cannot read {path} as a NumPy array: {load_error(error)}") from error
    if not isinstance(loaded, np.ndarray):
        raise DataError(f"{path} holds several arrays: rename it to .npz")
    return loaded
