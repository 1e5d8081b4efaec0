"""A folder of tables, each of which is one series or is cut into windows."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparring.data.archives import EXTENSIONS, FolderSource
from sparring.data.dataset import Conditional, DataError, labels_by_file, printable
from sparring.data.images import labels_from_folders
from sparring.data.table_blocks import BLOCK_CELLS, require_parquet
from sparring.data.tables import Spool, Table, read_table
from sparring.data.video_files import VIDEO_ENDINGS

ENDINGS = (".csv", ".tsv", ".parquet")
_SHOWN = 5


class TableFolder(FolderSource):
    """The tables below a folder."""

    endings = ENDINGS

    def files(self, besides: str | None) -> dict[str, str]:
        """Paths by name, without the labels file `besides`."""
        left_out = besides and os.path.realpath(besides)
        found = zip(self.names, self._paths, strict=True)
        return {name: path for name, path in found if os.path.realpath(path) != left_out}


@dataclass
class _Read:
    """A file of the folder."""

    long: bool
    count: int  # number of series
    labels: Sequence[str] | None  # one for each row if long, else one for each series


def is_table_folder(path: str, *, asked: bool = False) -> bool:
    """Whether a folder has tables (or `asked`), and no pictures or videos, beside which tables may hold labels."""
    found = asked
    for _, folders, files in os.walk(path):
        folders[:] = [folder for folder in folders if not folder.startswith(".")]
        names = [file.lower() for file in files if not file.startswith(".")]
        if any(name.endswith((*EXTENSIONS, *VIDEO_ENDINGS, ".gz")) for name in names):
            return False
        found |= any(name.endswith(ENDINGS) for name in names)
    return found


def read_folder(
    path: str, window: int | None, labels: str | None, conditional: Conditional, memory_limit: int
) -> Table:
    """All tables of a folder, each with one series, or with several if `sparring sample` wrote it.

    Labels come from the CSV file `labels` (columns file,label), from first-level sub-folders, or from a column that all
    tables have; then the result is `long`, with a label for each row. Unreadable tables are skipped; the others must
    have the same columns.
    """
    source = TableFolder(path)
    files = source.files(labels)
    of_files, notes = _labels_of_files(list(files), labels, conditional)
    skipped = list(source.unreadable)
    found: dict[str, _Read] = {}
    kept: Table | None = None
    ends = []
    for name, file in files.items():
        if file.lower().endswith(".parquet"):
            require_parquet(file)  # else each of them is skipped
        try:
            table = read_table(file, window or 2, memory_limit, alone=False)  # with a window any table is long
        except DataError as error:
            reason = str(error).removeprefix(file).removeprefix(":").strip().replace(file, "it")
            skipped.append(printable(f"{name}: {reason}"))
            continue
        if kept is None:
            kept, first, spool = table, name, Spool(path, len(table.names), memory_limit)
        elif table.names != kept.names:
            columns, others = map(_listed, (table.names, kept.names))
            raise DataError(
                f"the tables in {path} must have the same columns: {name} has {columns}, {first} has {others}; "
                "correct or remove it"
            )
        ends.append(spool.rows + table.ends)
        rows = max(1, BLOCK_CELLS // len(table.names))
        for start in range(0, len(table.values), rows):
            spool.add(table.values[start : start + rows])
        found[name] = _Read(table.long, len(table.ends), table.labels(conditional) if table.labels else None)
        notes += [note for note in table.notes if note not in notes]
    known = " ".join(ENDINGS)
    if kept is None and skipped:
        raise DataError(f"cannot read a table in {path} ({len(skipped)} broken, first {skipped[0]}); known are {known}")
    if kept is None:
        raise DataError(
            f"cannot read a table in {path}, it holds none: a folder of series holds {known} files; "
            "put arrays into one .npy or .npz"
        )
    other = source.other_files
    notes += [f"{other} files that are not tables were left out"] if other else []
    by_row, chosen = _labels_of_series(found, of_files, notes)
    return Table(
        *spool.finish(),
        names=kept.names,
        ends=np.concatenate(ends),
        long=by_row,
        labels=None if chosen is None else lambda _: chosen,
        notes=notes,
        skipped=skipped,
    )


def _labels_of_files(
    names: Sequence[str], labels: str | None, conditional: Conditional
) -> tuple[dict[str, str] | None, list[str]]:
    if labels is not None and conditional:
        return dict(zip(names, labels_by_file(labels, names), strict=True)), []
    found, notes = labels_from_folders(names, what="tables", example="table.csv")
    return None if found is None else dict(zip(names, found, strict=True)), notes if conditional else []


def _labels_of_series(
    found: dict[str, _Read], of_files: dict[str, str] | None, notes: list[str]
) -> tuple[bool, list[str] | None]:
    """Whether labels are for rows, and the labels of all rows or all series; None without labels."""
    own = [read.labels for read in found.values() if read.labels is not None]
    if of_files is not None:
        notes += ["the tables' columns of class labels were left out: each table has its class"] if own else []
        return False, [of_files[name] for name, read in found.items() for _ in range(read.count)]
    longs = {read.long for read in found.values()}
    if len(own) < len(found) or len(longs) > 1:
        notes += ["only some of the tables have class labels, which are ignored"] if own else []
        return False, None
    return longs == {True}, [label for labels in own for label in labels]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)
