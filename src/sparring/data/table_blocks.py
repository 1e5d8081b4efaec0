"""The rows of CSV and Parquet files in blocks, and the numbers in their cells."""

from __future__ import annotations

import csv
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import numpy.typing as npt

from sparring.data.archives import PARSE_ERRORS
from sparring.data.arrays import Array
from sparring.data.budgets import require_justified
from sparring.data.channels import name_of
from sparring.data.dataset import DataError

BLOCK_CELLS = 1 << 17
LARGEST = 1e37  # the difference of two such numbers is still a float32
MISSING = {"", "?", "na", "n/a", "nan", "-nan", "null", "none"}
_LONGEST_CELL = 4096  # characters of a label, time or number
_TEXT_TYPES = ("string", "large_string", "binary", "large_binary")  # of Parquet
UNNAMED = "unnamed: 0"  # pandas' name for an index without a name in a CSV

Values = npt.NDArray[np.float32]


def to_float32(values: Array, locate: Callable[[int, int], str]) -> Values:
    """Values (n, m) as float32; `locate` names the position of an infinite or too large one in the error."""
    with np.errstate(over="ignore"):
        numbers = values.astype(np.float32)
    wild = np.abs(numbers) > LARGEST
    if wild.any():
        row, column = np.argwhere(wild)[0].tolist()
        number = float(values[row, column])
        raise DataError(f"{locate(row, column)} holds {number:g}: correct it to a finite number below {LARGEST:g}")
    return numbers


def parse(cells: Sequence[str], locate: Callable[[int], str]) -> list[float]:
    """The cells' numbers, NaN for missing ones; `locate` names the position of a text cell in the error."""
    try:
        return list(map(float, cells))
    except ValueError:
        return [_number(cell, partial(locate, index)) for index, cell in enumerate(cells)]


def _number(cell: str, locate: Callable[[], str]) -> float:
    try:
        return float(cell)
    except ValueError:
        if is_missing(cell):
            return float("nan")
        text = f"{cell[:40]!r}, which is not a number (with a decimal point)"
        raise DataError(f"{locate()} holds {text}: correct it or leave it empty") from None


def is_missing(cell: str) -> bool:
    return cell.strip().lower() in MISSING


def check_text(path: str) -> None:
    """Raises DataError for an empty or binary file."""
    try:
        with open(path, "rb") as handle:
            start = handle.read(1 << 16)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error
    if not start.strip():
        raise DataError(f"{path} is empty: it needs rows of numbers")
    if b"\0" in start:
        raise DataError(f"{path} is a binary file, not text: save it as CSV in UTF-8")


class Block(ABC):
    """Some rows of a table; `places` are their line or row numbers in the file."""

    unit = "line"

    def __init__(self, path: str, names: list[str], places: Sequence[int], header: bool = True) -> None:
        self.path, self.names, self.places, self.header = path, names, places, header

    @abstractmethod
    def texts(self, column: int) -> list[str]:
        """The cells of one column, as text."""

    @abstractmethod
    def read(self, columns: Sequence[int]) -> npt.NDArray[np.float64]:
        """The cells (rows, columns) as numbers, NaN for missing ones; raises DataError for text."""

    def numbers(self, columns: Sequence[int]) -> Values:
        """The numbers of `read` as float32."""
        return to_float32(self.read(columns), lambda row, at: self.locate(row, columns[at]))

    def locate(self, row: int, column: int) -> str:
        return f"{self.path}: {self.unit} {self.places[row]}, column {self.names[column]!r}"


class CsvBlock(Block):
    def __init__(self, path: str, names: list[str], header: bool, numbered: Sequence[tuple[int, list[str]]]) -> None:
        super().__init__(path, names, [line for line, _ in numbered], header)
        self._rows = [row for _, row in numbered]
        for line, row in numbered:
            if len(row) != len(names):
                raise DataError(f"{path}: line {line} has {len(row)} cells, the first has {len(names)}: correct it")

    def texts(self, column: int) -> list[str]:
        return [row[column] for row in self._rows]

    def read(self, columns: Sequence[int]) -> npt.NDArray[np.float64]:
        cells, width = [row[column] for row in self._rows for column in columns], len(columns)
        found = parse(cells, lambda index: self.locate(index // width, columns[index % width]))
        return np.array(found).reshape(-1, width)


def csv_blocks(path: str) -> Iterator[CsvBlock]:
    """The rows of a text file with tabs, semicolons or commas between cells, whichever the first line has.

    The first row is a header if it has no number, or text above a number, or if it is an empty cell and 0, 1, 2, ...
    (pandas' header for columns without names). Blank lines are skipped.
    """
    check_text(path)
    rows = _csv_rows(path)
    first, second = next(rows, (0, [])), next(rows, (0, []))
    header = _is_header(first[1], second[1])
    cells = [cell.strip() if header else "" for cell in first[1]]
    names = [name_of(cell) or f"column {index}" for index, cell in enumerate(cells, 1)]
    if header and not cells[0]:
        names[0] = UNNAMED
    rows = chain([second] if header else [first, second], rows)
    rows = (row for row in rows if row[1])
    while numbered := list(islice(rows, max(2, BLOCK_CELLS // max(1, len(names))))):
        yield CsvBlock(path, names, header, numbered)


def _csv_rows(path: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that is not blank, after its line number."""
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            first = next(line for line in handle if line.strip("\ufeff \t\r\n"))
            handle.seek(0)
            delimiter = next((mark for mark in "\t;," if mark in first.strip()), ",")
            reader = csv.reader(handle, delimiter=delimiter, skipinitialspace=delimiter != "\t")
            for row in reader:
                if len(row) > 1 or "".join(row).strip():
                    yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not text in UTF-8 ({error.reason}): save it as UTF-8") from error
    except (OSError, csv.Error, StopIteration) as error:
        raise DataError(f"cannot read {path} as a table: {error or 'it is empty'}") from error


def is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return not is_missing(cell)


def _is_header(first: Sequence[str], second: Sequence[str]) -> bool:
    texts = [not is_missing(cell) and not is_number(cell) for cell in first]
    above = (text and is_number(cell) for text, cell in zip(texts, second, strict=False))
    if len(first) > 1 and list(first) == ["", *map(str, range(len(first) - 1))]:
        return True
    return any(texts) and (not any(map(is_number, first)) or any(above))


class ParquetBlock(Block):
    unit = "row"

    def __init__(self, path: str, batch: Any, start: int) -> None:
        super().__init__(path, list(batch.schema.names), range(start + 1, start + 1 + batch.num_rows))
        self._batch = batch

    def texts(self, column: int) -> list[str]:
        cells = self._batch.column(column)
        if not _is_dictionary(cells):
            return ["" if value is None else str(value) for value in cells.to_pylist()]
        words = ["" if word is None else str(word).strip() for word in cells.dictionary.to_pylist()]
        longest = max(map(len, words), default=0)
        if longest > _LONGEST_CELL:
            name = f"the column {self.names[column]!r} of {self.path}"
            raise DataError(f"{name} holds a text of {longest:,} characters, more than {_LONGEST_CELL:,}: remove it")
        return ["" if number is None else words[number] for number in cells.indices.to_pylist()]

    def read(self, columns: Sequence[int]) -> npt.NDArray[np.float64]:
        return np.stack([self._column(column) for column in columns], axis=1)

    def _column(self, column: int) -> npt.NDArray[np.float64]:
        cells = self._batch.column(column)
        if _is_dictionary(cells):
            return np.array(parse(self.texts(column), lambda row: self.locate(row, column)))
        try:
            cells = cells.cast("float64")
            return np.array(cells.to_numpy(zero_copy_only=False), dtype=np.float64)
        except PARSE_ERRORS:  # numbers stored as text, perhaps with "?"
            return np.array(parse(self.texts(column), lambda row: self.locate(row, column)))


def _is_dictionary(cells: Any) -> bool:
    """Whether a column holds each different text once, and its number for each row."""
    return hasattr(cells, "dictionary")


def require_parquet(path: str) -> Any:
    """The module `pyarrow.parquet`; raises DataError without it."""
    try:
        return importlib.import_module("pyarrow.parquet")
    except ImportError as error:
        raise DataError(f'{path}: reading Parquet needs its extra: pip install "sparring[series]"') from error


def parquet_blocks(path: str) -> Iterator[ParquetBlock]:
    parquet, start = require_parquet(path), 0
    try:
        with parquet.ParquetFile(path) as file:
            texts = [field.name for field in file.schema_arrow if str(field.type) in _TEXT_TYPES]
            require_justified(path, _parquet_bytes(file.metadata), "remove what is constant, or split it")
        # Texts stay numbers into a dictionary, as in the file: else a long one is copied for each row.
        with parquet.ParquetFile(path, read_dictionary=texts) as file:
            width = max(1, file.metadata.num_columns)
            for batch in file.iter_batches(max(2, BLOCK_CELLS // width)):
                batch.validate(full=True)  # a damaged file may name a text that its dictionary lacks
                if batch.num_rows:
                    yield ParquetBlock(path, batch, start)
                start += batch.num_rows
    except DataError:
        raise
    except PARSE_ERRORS as error:
        raise DataError(f"cannot read {path} as Parquet: {error}; it may be cut off, fetch it again") from error


def _parquet_bytes(metadata: Any) -> int:
    """The bytes of all numbers, or of all encoded columns if these have more."""
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    numbers = sum(group.column(column).num_values for group in groups for column in range(group.num_columns))
    return max(8 * int(numbers), sum(int(group.total_byte_size) for group in groups))
