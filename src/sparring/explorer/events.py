"""Server-sent events of a run's folder: new rows of metrics and new weights."""

import asyncio
import contextlib
import json
import math
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sparring.data.dataset import printable
from sparring.explorer.model import Stamp, stamp
from sparring.regular_files import open_regular, read_regular
from sparring.training.logs import MAX_BYTES, Row, row_of

INTERVAL, HEARTBEAT = 0.5, 15.0
"""Seconds between two polls of the folder, and between two heartbeats if nothing changes."""


class Rows:
    """Reads a growing `metrics.jsonl` incrementally."""

    def __init__(self, path: Path) -> None:
        self.path, self.offset, self.file = path, 0, -1

    def read(self) -> tuple[list[Row], bool]:
        """The new rows, and whether they replace all earlier ones: at the first read, and if the file shrank."""
        fresh = self.file == -1
        try:
            with open_regular(self.path, MAX_BYTES, OSError) as file:
                facts = os.fstat(file.fileno())  # not of the path, which may have been replaced
                if not fresh and (facts.st_ino != self.file or facts.st_size < self.offset):
                    fresh, self.offset = True, 0
                self.file = facts.st_ino
                file.seek(self.offset)
                whole, _, _ = file.read(MAX_BYTES).rpartition(b"\n")  # the last line may be incomplete
        except OSError:
            return [], False
        self.offset += len(whole) + 1 if whole else 0
        return [row for line in whole.splitlines() if (row := _row(line))], fresh


def _row(line: bytes) -> Row | None:
    """The finite numbers of a line, as JSON allows no others; None for an incomplete line."""
    row = row_of(line)
    return row and {name: value for name, value in row.items() if math.isfinite(value)}


def numbers(rows: Sequence[Mapping[str, float]], best: Mapping[str, float]) -> list[dict[str, Any]]:
    """The newest evaluation: each score with its floor (the score of real samples) and its value in the `best` state,
    or None."""
    measured = next((row for row in reversed(rows) if any(name.endswith("_floor") for name in row)), best)
    return [
        {"name": printable(name), "value": value, "floor": measured.get(f"{name}_floor"), "best": best.get(name)}
        for name, value in measured.items()
        if "/" not in name and not name.endswith(("_floor", "_std")) and name not in ("samples_seen", "seconds")
    ]


def read_best(folder: Path) -> Row:
    """The scores of the state in `best/`, or of `folder` if it is such a state; empty if there are none."""
    for file in _best_files(folder):
        with contextlib.suppress(OSError):
            return _row(read_regular(file, MAX_BYTES, OSError)) or {}
    return {}


def _best_files(folder: Path) -> tuple[Path, Path]:
    return folder / "best" / "metrics.json", folder / "metrics.json"


class Feed:
    """The news of a run's folder, which is read once for all pages that follow it. Not thread-safe."""

    def __init__(self, folder: Path) -> None:
        self.rows: list[Row] = []
        self.version = 0
        """Counts how often `rows` were replaced rather than continued."""
        self.numbers: list[dict[str, Any]] = []
        self.weights: Stamp | None = None
        self.listeners = 0
        self._folder, self._log, self._polled = folder, Rows(folder / "metrics.jsonl"), -math.inf
        self._best: tuple[Stamp | None, ...] = ()

    def poll(self) -> None:
        """Reads what is new, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._polled < INTERVAL / 2:
            return
        self._polled = now
        new, fresh = self._log.read()
        if fresh:
            self.rows, self.version = new, self.version + 1
        else:
            self.rows += new
        best = tuple(stamp(file) for file in _best_files(self._folder))
        if fresh or new or best != self._best:
            self._best = best
            self.numbers = numbers(self.rows, read_best(self._folder))
        self.weights = stamp(self._folder / "model.safetensors")


async def events(feed: Feed, loaded: Callable[[], Stamp | None], stopping: Callable[[], bool]) -> AsyncIterator[str]:
    """Server-sent events in JSON: {"rows", "fresh", "numbers"}, and {"weights": true} when `model.safetensors` differs
    from the one `loaded`. The first event is sent at once and holds all rows so far, maybe none."""
    version, count, known, silent = -1, 0, loaded(), 0.0
    feed.listeners += 1
    try:
        while True:
            feed.poll()
            fresh = version != feed.version
            new = feed.rows if fresh else feed.rows[count:]
            version, count = feed.version, len(feed.rows)
            if fresh or new:
                silent = 0.0
                yield _event({"rows": new, "fresh": fresh, "numbers": feed.numbers})
            if feed.weights is not None and feed.weights != known:
                known, silent = feed.weights, 0.0
                yield _event({"weights": True})
            if silent >= HEARTBEAT:
                silent = 0.0
                yield ": still here\n\n"
            if stopping():
                return
            await asyncio.sleep(INTERVAL)
            silent += INTERVAL
    finally:
        feed.listeners -= 1


def _event(content: dict[str, Any]) -> str:
    return f"data: {json.dumps(content, allow_nan=False)}\n\n"
