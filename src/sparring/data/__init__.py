"""Opening what a person names as training data: a built-in set, files, an archive, arrays or the hub."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from sparring.data import archives, arrays, clips, hub, images, series, synthetic, text
from sparring.data.bouncing import bouncing
from sparring.data.dataset import MEMORY_LIMIT, DataError, Dataset
from sparring.data.digits import open_digits
from sparring.data.sines import sines
from sparring.data.synthetic import mode_coverage
from sparring.data.vocabulary import Tokenizer
from sparring.hub.client import PREFIX

__all__ = ["BUILT_IN", "DataError", "Dataset", "mode_coverage", "open_dataset"]

BUILT_IN = ("digits", "rings", "grid", "sines", "bouncing", "bouncing-1", "names")
LARGEST_RESOLUTION = 4096

_KNOWN = (
    f"{', '.join(BUILT_IN)}, a folder, .zip or .tar of images or films, a film, .npz, .npy, IDX images (.gz), "
    "a table (.csv, .parquet, .ts) or a folder of them, a text (.txt, .jsonl) or hf:NAME"
)


def open_dataset(
    path: str,
    *,
    resolution: int | None = None,
    labels: str | None = None,
    conditional: bool = True,
    window: int | None = None,
    stride: int | None = None,
    fill_gaps: bool = False,
    frames: int | None = None,
    frame_step: int | None = None,
    field: str | None = None,
    split: text.Split | None = None,
    tokenizer: Tokenizer | None = None,
    vocabulary: int | None = None,
    length: int | None = None,
    memory_limit: int = MEMORY_LIMIT,
) -> Dataset:
    """Open a data set by its name or path; raises DataError with one clear line if that cannot be done.

    `resolution` crops pictures centrally to a square and resizes them. `labels` names a CSV file (file,label for files;
    one label a row for arrays) or an IDX labels file. With `conditional=False` labels are ignored. `window`, `stride`
    and `fill_gaps` are for series, `frames` and `frame_step` for clips, and the settings from `field` to `length` for
    texts. Pictures of more than `memory_limit` bytes of pixels are decoded on demand.
    """
    if resolution is not None and (isinstance(resolution, bool) or not 1 <= resolution <= LARGEST_RESOLUTION):
        raise DataError(f"the resolution must be a whole number from 1 to {LARGEST_RESOLUTION}, not {resolution}")
    of_series = {"window": window, "stride": stride, "fill_gaps": fill_gaps or None}
    of_clips = {"frames": frames, "frame_step": frame_step}
    of_pictures = {"resolution": resolution}
    symbols: dict[str, Any] = {"tokenizer": tokenizer, "vocabulary": vocabulary, "length": length}
    of_texts = {"field": field, "split": split, **symbols}

    def refuse(kind: str, *settings: Mapping[str, object]) -> None:
        for name, value in ((n, v) for group in settings for n, v in group.items()):
            if value is not None:
                raise DataError(f"--data.{name} has no effect on {kind} like {path}: drop it")

    if path in BUILT_IN or path.startswith(PREFIX):
        if labels is not None:
            raise DataError(f"{path} brings its own labels or has none: leave out the labels file {labels}")
        if path == "names":
            refuse("texts", of_series, of_clips, of_pictures, {"field": field, "split": split})
            return text.open_names(**symbols)
        refuse("samples", of_texts)
        if path.startswith("bouncing"):
            refuse("clips", of_series, {"frame_step": frame_step})
            digits = 1 if path == "bouncing-1" else 2
            return bouncing(frames or 16, resolution or 64, num_digits=digits, conditional=conditional)
        if path == "sines":
            refuse("series", of_pictures, of_clips, {"stride": stride, "fill_gaps": fill_gaps or None})
            return sines(length=window or 24)
        refuse("samples", of_series, of_clips)
        if path.startswith(PREFIX):
            return hub.open_hub(path, resolution=resolution, conditional=conditional, memory_limit=memory_limit)
        return _open_built_in(path, resolution, conditional)
    if not os.path.exists(path):
        raise DataError(f"there is no file or folder {path!r}; data is one of: {_KNOWN}")
    if text.is_text(path, field=field, tokenizer=tokenizer):
        refuse("texts", of_series, of_clips, of_pictures, {"labels": labels})
        return text.open_text(path, field=field, split=split or "line", conditional=conditional, **symbols)
    refuse("samples", of_texts)
    if series.is_series(path, window):
        refuse("series", of_pictures, of_clips)
        return series.open_series(
            path, window=window, stride=stride, fill_gaps=fill_gaps, labels=labels, conditional=conditional,
            memory_limit=memory_limit,
        )  # fmt: skip
    refuse("pictures", of_series)
    if clips.is_clips(path, frames):
        return clips.open_clips(
            path, frames=frames or 16, frame_step=frame_step or 1, resolution=resolution, labels=labels,
            conditional=conditional, memory_limit=memory_limit,
        )  # fmt: skip
    refuse("pictures", of_clips)
    if os.path.isdir(path):
        pair = arrays.idx_pair_in(path)
        if pair is not None:
            return arrays.open_idx(pair, resolution=resolution, labels=labels, conditional=conditional)
    elif path.lower().endswith((".npz", ".npy")):
        return arrays.open_numpy(path, resolution=resolution, labels=labels, conditional=conditional)
    elif path.lower().endswith(archives.EXTENSIONS):
        raise DataError(f"{path} is a single image; name the folder that holds all of them")
    elif not path.lower().endswith((".zip", *archives.TAR_ENDINGS)):
        if arrays.is_idx(path):
            return arrays.open_idx(path, resolution=resolution, labels=labels, conditional=conditional)
        raise DataError(f"{path} is of no known kind; data is one of: {_KNOWN}")
    return images.open_images(
        path, resolution=resolution, labels=labels, conditional=conditional, memory_limit=memory_limit
    )


def _open_built_in(name: str, resolution: int | None, conditional: bool) -> Dataset:
    if name == "digits":
        return open_digits(resolution=resolution, conditional=conditional)
    if resolution not in (None, 1):
        raise DataError(f"{name} are points, not images: leave out --resolution")
    return synthetic.rings() if name == "rings" else synthetic.grid()
