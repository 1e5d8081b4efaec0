"""The log of a run: `metrics.jsonl`, and TensorBoard if chosen."""

import contextlib
import json
import math
from pathlib import Path
from typing import Any

from sparring.config import ConfigError
from sparring.files import CheckpointError, write_atomic
from sparring.plain_json import read_json
from sparring.regular_files import read_regular

Row = dict[str, float]

MAX_BYTES = 2**28
"""Size of a log: enough for half a million rows."""

MAX_VERDICT = 2**16


class MetricsLog:
    """The rows of a run, each with `samples_seen`, in memory and in the file."""

    def __init__(self, folder: Path, *, tensorboard: bool = False) -> None:
        self.path = folder / "metrics.jsonl"
        self.rows: list[Row] = []
        self._writer = _summary_writer() if tensorboard else None
        self._board: Any = None

    def add(self, row: Row) -> None:
        self.rows.append(row)
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self._writer is not None:
            self._board = self._board or self._writer(str(self.path.parent / "tensorboard"))
            for name, value in row.items():
                self._board.add_scalar(name, value, row["samples_seen"])
            self._board.flush()

    def go_back_to(self, samples_seen: int) -> None:
        """Reads the file and drops later rows and incomplete lines."""
        self.rows = [row for row in logged_rows(self.path.parent) if row["samples_seen"] <= samples_seen]
        text = "".join(json.dumps(row) + "\n" for row in self.rows)
        write_atomic(self.path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def logged_rows(folder: Path) -> list[Row]:
    """The rows of a run's folder, without incomplete lines; empty if there are none."""
    return rows_of(folder / "metrics.jsonl")


def rows_of(file: Path) -> list[Row]:
    """The rows of a file; empty if it does not exist. Raises `CheckpointError` if it is no file, or too large."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        lines = read_regular(file, MAX_BYTES, CheckpointError).splitlines()
        return [row for line in lines if (row := row_of(line))]
    return []


def row_of(line: str | bytes) -> Row | None:
    """The numbers of a line; None for an incomplete line or another format."""
    with contextlib.suppress(ValueError):
        row = read_json(line)
        if isinstance(row, dict):
            numbers = {name: value for name, value in row.items() if _is_number(value)}
            return numbers if 0 <= numbers.get("samples_seen", -1) < math.inf else None
    return None


def verdict_of(folder: Path) -> str | None:
    """The verdict on a run, None before its end."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return read_regular(folder / "verdict.txt", MAX_VERDICT, CheckpointError).decode(errors="replace").strip()
    return None


def _is_number(value: Any) -> bool:
    """Whether it is a number that fits into a float, NaN and Infinity included: a loss may be so."""
    return type(value) is float or (type(value) is int and abs(value) < 2**1023)


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise ConfigError('--train.tensorboard needs its extra: pip install "sparring[tensorboard]"') from None
    return SummaryWriter
