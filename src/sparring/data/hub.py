"""Image sets from the Hugging Face hub, as `hf:NAME` or `hf:NAME:SPLIT`."""

from __future__ import annotations

from typing import Any

from sparring.data.archives import Source
from sparring.data.dataset import IGNORED_LABELS, MEMORY_LIMIT, Conditional, DataError, Dataset
from sparring.data.images import load_images
from sparring.hub.client import PREFIX


class HubSource(Source):
    """The encoded images in a column of a `datasets.Dataset`."""

    def __init__(self, rows: Any, column: str) -> None:
        super().__init__()
        self._rows = rows.select_columns([column])
        self._column = column
        self.names = [f"row {index}" for index in range(len(rows))]
        self.sizes = [0] * len(rows)

    def read(self, index: int, limit: int = -1) -> bytes:
        cell = self._rows[index][self._column]
        if cell is None:
            raise ValueError("the row has no image")
        data: bytes | None = cell["bytes"]
        if data is None:
            with open(cell["path"], "rb") as handle:
                return handle.read(limit)
        return data if limit < 0 else data[:limit]


def open_hub(
    name: str,
    *,
    resolution: int | None = None,
    conditional: Conditional = True,
    memory_limit: int = MEMORY_LIMIT,
) -> Dataset:
    """The images of `hf:NAME[:SPLIT]` (default: `train`); needs the extra `hub`."""
    try:
        import datasets
    except ImportError as error:
        raise DataError(f'{name} needs the package datasets: pip install "sparring[hub]"') from error
    repository, _, split = name.removeprefix(PREFIX).partition(":")
    if not repository:
        raise DataError("write a data set of the Hugging Face hub as hf:NAME or hf:NAME:SPLIT, e.g. hf:mnist:train")
    try:
        rows = datasets.load_dataset(repository, split=split or "train")
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        raise DataError(f"cannot load {name} from the Hugging Face hub: {error}") from error
    return from_rows(name, rows, resolution=resolution, conditional=conditional, memory_limit=memory_limit)


def from_rows(
    name: str,
    rows: Any,
    *,
    resolution: int | None = None,
    conditional: Conditional = True,
    memory_limit: int = MEMORY_LIMIT,
) -> Dataset:
    """The images of a `datasets.Dataset` from its first image column, with labels from its first class column."""
    import datasets

    images = [column for column, kind in rows.features.items() if isinstance(kind, datasets.Image)]
    kinds = [column for column, kind in rows.features.items() if isinstance(kind, datasets.ClassLabel)]
    if not images:
        raise DataError(f"{name} has no image column; its columns are {', '.join(rows.features)}")
    labels = None
    notes = [f"the images are the column {images[0]!r}"]
    if kinds and conditional:
        notes.append(f"the classes are the column {kinds[0]!r}")
        names = rows.features[kinds[0]].names
        labels = [names[number] for number in rows[kinds[0]]]
    elif kinds:
        notes.append(IGNORED_LABELS)
    source = HubSource(rows.cast_column(images[0], datasets.Image(decode=False)), images[0])
    return load_images(name, source, labels, resolution=resolution, notes=notes, memory_limit=memory_limit)
