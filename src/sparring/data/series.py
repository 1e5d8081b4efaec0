"""Series: windows of a long table, the rows of a file, or the tables of a folder, with scaled channels."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from sparring.data import table_blocks, tables
from sparring.data.archives import ARCHIVE_ERRORS
from sparring.data.arrays import holds_rows
from sparring.data.channels import Channels, default_names
from sparring.data.dataset import (
    IGNORED_LABELS,
    MEMORY_LIMIT,
    Conditional,
    DataError,
    Dataset,
    digest,
    labels_by_row,
    number_classes,
)
from sparring.data.table_blocks import Values
from sparring.data.table_folders import is_table_folder, read_folder
from sparring.data.tables import Table

_ENDINGS = (".csv", ".tsv", ".txt", ".parquet", ".ts")
_FILL = "--fill-gaps"
_TRAIN, _TEST = "_TRAIN.ts", "_TEST.ts"

Numbers = npt.NDArray[np.int64]


@dataclass(kw_only=True, eq=False)
class WindowDataset(Dataset):
    """Series cut from one table on demand: sample i is `table[starts[i] : starts[i] + T]`, scaled."""

    table: torch.Tensor  # (R, C) float32, in physical units
    starts: torch.Tensor  # (N,) int64
    lengths: torch.Tensor | None  # (N,) int64; None if every series has T steps
    channels: Channels

    storage: ClassVar[str] = "in memory"

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = indices.to("cpu", torch.int64)
        steps = torch.arange(self.sample_shape[1])
        rows = self.starts[chosen, None] + steps
        if self.lengths is None:
            values = self.table[rows]
        else:
            beyond = steps >= self.lengths[chosen, None]
            values = self.table[rows.masked_fill(beyond, 0)].masked_fill_(beyond[..., None], torch.nan)
        return self.channels.store(values.transpose(1, 2).contiguous()), self.conditions_of(chosen)


@dataclass(kw_only=True, eq=False)
class SpooledWindows(WindowDataset):
    """Windows of a table that is too large for memory."""

    storage: ClassVar[str] = "in a temporary file"


@dataclass
class _Series:
    """The samples of a table."""

    table: Table
    starts: Numbers  # (N,)
    lengths: Numbers  # (N,)
    labels: list[str] | None  # one for each piece from which windows are cut
    pieces: Numbers  # (N,) the piece of each sample
    notes: list[str]


def is_series(path: str, window: int | None = None) -> bool:
    """Whether a file or folder holds series.

    Files are recognised by their suffix; arrays by a `window`, the name `series`, or fewer axes than pictures; folders
    by tables or a `window`, if they have no pictures.
    """
    if os.path.isdir(path):
        return is_table_folder(path, asked=window is not None)
    ending = os.path.splitext(path)[1].lower()
    if ending not in (".npy", ".npz"):
        return ending in _ENDINGS
    if window is not None or holds_rows(path):
        return True
    try:
        with zipfile.ZipFile(path) as archive:
            return "series.npy" in archive.namelist()
    except ARCHIVE_ERRORS:
        return False


def open_series(
    path: str,
    *,
    window: int | None = None,
    stride: int | None = None,
    fill_gaps: bool = False,
    labels: str | None = None,
    conditional: Conditional = True,
    memory_limit: int = MEMORY_LIMIT,
    to_learn: bool = True,
) -> Dataset:
    """The series (C, T) of a .csv, .tsv, .txt, .parquet, .npy, .npz or UCR/UEA .ts file, or of a folder of tables.

    `window` cuts samples of that many steps, `stride` apart (default 1), from a long table or from each series;
    `read_table`, `read_arrays` and `read_folder` define which tables are long. Samples with missing values are left
    out, or interpolated with `fill_gaps`; missing values at the end of a row end the series. `labels` is a CSV file
    with one label for each series or each row of a long table (for folders: columns file,label). A table of more than
    `memory_limit` bytes is kept in a temporary file. `to_learn` requires two samples and a channel that varies.
    """
    for what, value, least in (("window", window, 2), ("stride", stride, 1)):
        if value is not None and (type(value) is not int or value < least):
            raise DataError(f"the {what} must be a whole number of at least {least} steps, not {value}")
    if stride is not None and window is None:
        raise DataError("a stride needs a window: pass --window N (steps a sample) too, or leave out the stride")

    def find(file: str, labels: str | None) -> _Series:
        return _find(file, window, stride or 1, fill_gaps, labels, conditional, memory_limit)

    found = find(path, labels)
    if to_learn and len(found.starts) < 2:
        # The rows of a CSV are series only without a window.
        cut = window != 2 if window or os.path.isdir(path) else not path.lower().endswith(tables.CSV_ENDINGS)
        more = ("pass a smaller --window" if window else "pass --window N") if cut else "add more rows"
        raise DataError(f"{path} gives only one sample; it needs at least 2 ({more})")
    beside = path.removesuffix(_TRAIN) + _TEST
    test = None
    if path.endswith(_TRAIN) and os.path.isfile(beside):
        test, reason = _find_test(partial(find, beside, None), found)
        found.notes += [f"{beside} is not used as held-out data: {reason}"] if reason else []
    lengths = np.concatenate([part.lengths for part in (found, test) if part is not None])
    shortest, steps = int(lengths.min()), int(lengths.max())
    if steps < 2:
        raise DataError(f"the series of {path} have one step: they need at least 2")
    masked = shortest < steps
    if masked:
        found.notes.append(f"the series have {shortest} to {steps} steps: an extra channel stores the remaining steps")
    channels, value_range, constant = fit_scaling(path, found.table.values, found.table.names, masked, to_learn)
    found.notes += [f"the channel {name!r} is constant" for name in constant]
    build = partial(_build, channels=channels, value_range=value_range, steps=steps)
    dataset = build(path, found, None)
    if test is not None:
        dataset.held_out = build(beside, test, dataset.class_names)
    return dataset


def fit_scaling(
    path: str, values: Values, names: Sequence[str], masked: bool = False, to_learn: bool = True
) -> tuple[Channels, str, list[str]]:
    """The scaling of a table's channels to mean 0 and standard deviation 1; no channel may be all NaN.

    Also returns the range of the values as text, and the names of constant channels, whose scale is 0.
    """
    total, squares, count = np.zeros((3, len(names)))
    low, high = np.full((2, len(names)), np.nan)
    for block in _blocks(values):
        total += np.nansum(block, axis=0, dtype=np.float64)
        count += (~np.isnan(block)).sum(axis=0)
        low, high = np.fmin(low, np.fmin.reduce(block)), np.fmax(high, np.fmax.reduce(block))
    mean = np.clip(total / count, low, high)  # else rounding may change a constant
    for block in _blocks(values):
        squares += np.nansum((block - mean) ** 2, axis=0)
    scale = np.sqrt(squares / count)
    constant = scale < np.finfo(np.float32).tiny
    if to_learn and constant.all():
        raise DataError(f"every channel of {path} is constant: there is nothing to learn in it")
    first = int(np.argmin(constant))
    channels = Channels(tuple(names), tuple(mean.tolist()), tuple(np.where(constant, 0, scale).tolist()), masked)
    value_range = f"{'per channel, e.g. ' * (len(names) > 1)}{names[first]} {low[first]:.5g}..{high[first]:.5g}"
    return channels, value_range, [name for name, flat in zip(names, constant, strict=True) if flat]


def _blocks(values: Values) -> Iterator[Values]:
    """The table in blocks, so that a memory map is not copied into memory."""
    rows = max(1, table_blocks.BLOCK_CELLS // values.shape[1])
    return (values[start : start + rows] for start in range(0, len(values), rows))


def _find(
    path: str,
    window: int | None,
    stride: int,
    fill_gaps: bool,
    labels: str | None,
    conditional: Conditional,
    memory_limit: int,
) -> _Series:
    """The samples of a file or folder without gaps."""
    if os.path.isdir(path):
        table = read_folder(path, window, labels, conditional, memory_limit)
        labels = None if conditional else labels
    elif path.lower().endswith(".ts"):
        table = read_ts(path, memory_limit)
    else:
        read = tables.read_arrays if path.lower().endswith((".npy", ".npz")) else tables.read_table
        table = read(path, window, memory_limit)
    values, notes = table.values, table.notes
    begin, end = np.concatenate([[0], table.ends[:-1]]), table.ends
    expected = len(values) if table.long else len(end)
    names: Sequence[str] | None = None
    if not conditional:
        notes += [IGNORED_LABELS] if labels or table.labels else []
    elif labels is not None:
        names = labels_by_row(labels, expected)
    elif table.labels is not None:
        names = table.labels(conditional)
        if len(names) != expected:
            raise DataError(f"{path} needs {expected} labels but has {len(names)}: the counts must match")
    if table.long and names is not None:
        begin, end, names = _runs(names, begin, end, window, notes)
    gaps = np.concatenate([np.isnan(block).any(axis=1) for block in _blocks(values)])
    if gaps.any():
        if not table.long or window is None:
            end = _trim(values, begin, end)
        if fill_gaps:
            filled = sum(_fill(values[:, channel], begin, end) for channel in range(values.shape[1]))
            notes += [f"{filled} missing values were interpolated"] if filled else []
            gaps = np.concatenate([np.isnan(block).any(axis=1) for block in _blocks(values)])
    starts, lengths, pieces = _cut(path, begin, end, window, stride, notes)
    whole = np.flatnonzero(gaps)
    keep = np.searchsorted(whole, starts) == np.searchsorted(whole, starts + lengths)
    dropped, noun = len(keep) - int(keep.sum()), "series" if window is None else "windows"
    if not keep.any():
        empty = [name for name, channel in zip(table.names, values.T, strict=True) if np.isnan(channel).all()]
        if empty:
            raise DataError(f"the channel {empty[0]!r} of {path} holds no numbers: remove it, or correct the file")
        todo = "each lacks all values of a channel" if fill_gaps else f"pass {_FILL} to interpolate"
        raise DataError(f"all {dropped} {noun} of {path} have gaps (missing values): {todo}")
    if dropped:
        hint = "a channel of them is empty" if fill_gaps else f"{_FILL} interpolates"
        notes.append(f"{dropped} {noun} with gaps were left out; {hint}")
    return _Series(table, starts[keep], lengths[keep], None if names is None else list(names), pieces[keep], notes)


def _runs(
    labels: Sequence[str], files: Numbers, files_end: Numbers, window: int | None, notes: list[str]
) -> tuple[Numbers, Numbers, list[str] | None]:
    """The beginning, end and label of each run of rows with one label: a sample may not span two runs."""
    changes = [row for row, (last, this) in enumerate(pairwise(labels), 1) if this != last]
    begin = np.union1d(files, np.array(changes, dtype=np.int64))
    end = np.append(begin[1:], len(labels))
    named = np.array([not table_blocks.is_missing(labels[row]) for row in begin.tolist()])
    if (end - begin)[named].max(initial=0) < (window or 0):
        notes.append(f"no window of {window} steps lies inside one label: the labels are ignored")
        return files, files_end, None
    without = int((end - begin)[~named].sum())
    notes += [f"{without} rows without a label were left out"] if without else []
    runs = f"each of the {int(named.sum())} runs of one label"
    notes.append(f"{runs} is one series" if window is None else f"windows are cut inside {runs}")
    return begin[named], end[named], [labels[row] for row in begin[named].tolist()]


def _trim(values: Values, begin: Numbers, end: Numbers) -> Numbers:
    """The series' ends, without trailing steps that are missing in all channels."""
    there = np.flatnonzero(np.concatenate([~np.isnan(block).all(axis=1) for block in _blocks(values)]))
    last = np.searchsorted(there, end) - 1
    return np.maximum(begin, np.where(last >= 0, there[last] + 1, 0)) if len(there) else begin


def _fill(values: Values, begin: Numbers, end: Numbers) -> int:
    """Interpolates a channel (R,) in place within each series, extending its ends; returns the number filled."""
    missing = np.flatnonzero(np.isnan(values))
    series = np.searchsorted(begin, missing, "right") - 1
    inside = (series >= 0) & (missing < end[series])
    missing, series = missing[inside], series[inside]
    if not len(missing):
        return 0
    opens = np.concatenate([[True], (np.diff(missing) > 1) | (np.diff(series) > 0)])
    run = np.cumsum(opens) - 1  # consecutive missing values are one run
    first, last = missing[opens], missing[np.concatenate([opens[1:], [True]])]
    has_left, has_right = first > begin[series[opens]], last + 1 < end[series[opens]]
    left = np.where(has_left, values[np.maximum(first - 1, 0)], np.nan)
    right = np.where(has_right, values[np.minimum(last + 1, len(values) - 1)], np.nan)
    left, right = np.where(has_left, left, right), np.where(has_right, right, left)
    share = (missing - first[run] + 1) / (last - first + 2)[run]
    values[missing] = left[run] + share * (right - left)[run]
    return int(np.isfinite(values[missing]).sum())


def _cut(
    path: str, begin: Numbers, end: Numbers, window: int | None, stride: int, notes: list[str]
) -> tuple[Numbers, Numbers, Numbers]:
    """The start, the length and the series of each sample."""
    lengths = end - begin
    counts = (lengths > 0).astype(np.int64) if window is None else np.maximum((lengths - window) // stride + 1, 0)
    pieces = np.repeat(np.arange(len(counts)), counts)
    if not len(pieces) and window is None:
        raise DataError(f"no series of {path} holds a number: all values are missing, correct the file")
    if not len(pieces):
        longest = lengths.max(initial=0)
        if longest < 2:
            raise DataError(f"no series of {path} has the 2 steps that a window needs: add rows")
        raise DataError(f"a window of {window} steps is longer than {path} with {longest}: pass a smaller --window")
    lost = len(counts) - np.count_nonzero(counts)
    if lost:
        reason = "that are empty" if window is None else f"shorter than the window of {window} steps"
        notes.append(f"{lost} of {len(counts)} series {reason} were left out")
    within = np.arange(len(pieces)) - np.repeat(np.cumsum(counts) - counts, counts)
    starts = begin[pieces] + stride * within
    return starts, lengths[pieces] if window is None else np.full(len(starts), window), pieces


def _find_test(find: Callable[[], _Series], training: _Series) -> tuple[_Series | None, str]:
    """The samples of the test file, or the reason why they do not fit the training file."""
    try:
        test = find()
    except DataError as error:
        return None, str(error)
    if len(test.table.names) != len(training.table.names):
        return None, f"it has {len(test.table.names)} channels, not {len(training.table.names)}"
    if (test.labels is None) != (training.labels is None):
        return None, "only one of the two files has labels"
    ours, theirs = (
        {part.labels[piece] for piece in np.unique(part.pieces)} if part.labels else set() for part in (training, test)
    )
    if theirs - ours:
        return None, f"its class {min(theirs - ours)!r} is not in the training file"
    return test, ""


def _build(
    name: str, found: _Series, class_names: list[str] | None, *, channels: Channels, value_range: str, steps: int
) -> WindowDataset:
    """A data set of the samples; `class_names` are those of the training set, if this is its test set."""
    used = np.unique(found.pieces)
    labels = None if found.labels is None else [found.labels[piece] for piece in used.tolist()]
    numbers, own_names = number_classes(labels, len(used))
    if class_names is not None and labels is not None:
        numbers, own_names = torch.tensor([class_names.index(label) for label in labels]), class_names
    classes = numbers[torch.from_numpy(np.searchsorted(used, found.pieces))]
    table, starts, lengths = map(torch.from_numpy, (found.table.values, found.starts, found.lengths))
    kind = SpooledWindows if found.table.spooled else WindowDataset
    return kind(
        name=name,
        modality="series",
        sample_shape=(len(channels.names) + channels.masked, steps),
        classes=classes,
        class_names=own_names,
        fingerprint=digest(table, starts, lengths, steps, classes, own_names),
        value_range=value_range,
        notes=found.notes,
        skipped=found.table.skipped,
        table=table,
        starts=starts,
        lengths=lengths if channels.masked else None,
        channels=channels,
    )


def read_ts(path: str, memory_limit: int) -> Table:
    """The series of a UCR/UEA file: one a line, with colons between channels and before the label."""
    table_blocks.check_text(path)
    header: dict[str, str] = {}
    labels: list[str] = []
    ends: list[int] = []
    spool: tables.Spool | None = None
    channels = 0
    for number, line in _ts_lines(path, header):
        regression = header.get("targetlabel", "").startswith("true")
        labelled = regression or header.get("classlabel", "").startswith("true")
        where, cells = f"{path}: line {number}", line.split(":")
        if labelled:
            labels.append(cells.pop().strip())
        channels = channels or len(cells)
        if not cells or len(cells) != channels:
            raise DataError(f"{where} has {len(cells)} channels where the first has {channels}: correct it")
        rows = [channel.split(",") for channel in cells]
        if len({len(row) for row in rows}) > 1:
            raise DataError(f"{where} has channels of different lengths: a series has as many steps in each")
        numbers = [table_blocks.parse(row, partial(_locate_ts, where, at)) for at, row in enumerate(rows)]
        spool = spool or tables.Spool(path, channels, memory_limit)
        spool.add(table_blocks.to_float32(np.array(numbers), partial(_locate_ts, where)).T)
        ends.append(spool.rows)
    if spool is None:
        raise DataError(f"{path} has no series below a line @data: it is not a UCR/UEA .ts file, or it is cut off")
    promised = header.get("dimensions", str(channels))
    if promised != str(channels):
        raise DataError(f"{path} promises {promised[:40]} dimensions but has {channels}: correct its header")
    return Table(
        *spool.finish(),
        names=default_names(channels),
        ends=np.array(ends),
        long=False,
        labels=(lambda _: labels) if labels and not regression else None,
        notes=["the target values of a regression were left out"] if regression else [],
    )


def _locate_ts(where: str, channel: int, step: int) -> str:
    return f"{where}, channel {channel + 1}, step {step + 1}"


def _ts_lines(path: str, header: dict[str, str]) -> Iterator[tuple[int, str]]:
    """The lines below @data, after their line numbers; the lines above are first stored in `header`."""
    data = False
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            for number, line in enumerate(handle, 1):
                text = line.strip()
                if not text or text.startswith("#"):
                    continue
                if data:
                    yield number, text
                elif text.lower() == "@data":
                    data = True
                    if header.get("timestamps", "").startswith("true"):
                        raise DataError(f"{path} has time stamps beside its values: write the values only")
                elif text.startswith("@"):
                    key, _, value = text[1:].partition(" ")
                    header[key.lower()] = value.strip().lower()
                else:
                    raise DataError(f"{path}: line {number} is no header (@...) nor below @data: is it a .ts file?")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error}") from error
