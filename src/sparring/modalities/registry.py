"""The registry of modalities, and `open_dataset`. PyTorch is imported when data are opened, not before."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol

from sparring.config import ConfigError
from sparring.modalities.image.modality import Image
from sparring.modalities.modality import Modality
from sparring.modalities.opening import Options
from sparring.modalities.points.modality import Points
from sparring.modalities.series.modality import Series
from sparring.modalities.text.modality import Text
from sparring.modalities.video.modality import Video

if TYPE_CHECKING:
    from sparring.data.dataset import Conditional, Dataset
    from sparring.data.text import Split
    from sparring.data.vocabulary import Tokenizer

MODALITIES: dict[str, Modality] = {}
"""Modalities by name, in the order in which they are asked whether they claim a path."""

LARGEST_RESOLUTION = 4096


class HasModality(Protocol):
    """A data set or a `DataSpec`."""

    @property
    def modality(self) -> str: ...


def register_modality(modality: Modality) -> None:
    """Adds a modality in front of all others, so that it may claim a path first."""
    others = {name: known for name, known in MODALITIES.items() if name != modality.name}
    MODALITIES.clear()
    MODALITIES.update({modality.name: modality} | others)


register_modality(Image())
register_modality(Points())
register_modality(Video())
register_modality(Series())
register_modality(Text())


def modality_of(described: HasModality) -> Modality:
    """The modality of a data set or spec; raises `ConfigError` if it is not registered."""
    name = described.modality
    if name not in MODALITIES:
        raise ConfigError(
            f"there is no modality {name!r} among {', '.join(sorted(MODALITIES))}: import the module that registers it"
        )
    return MODALITIES[name]


def built_in_names() -> list[str]:
    """The names of data sets that need no files."""
    return [name for modality in reversed(MODALITIES.values()) for name in modality.opening.built_in]


def open_dataset(
    path: str,
    *,
    resolution: int | None = None,
    labels: str | None = None,
    conditional: bool = True,
    condition: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    fill_gaps: bool = False,
    frames: int | None = None,
    frame_step: int | None = None,
    field: str | None = None,
    split: Split | None = None,
    tokenizer: Tokenizer | None = None,
    vocabulary: int | None = None,
    length: int | None = None,
    memory_limit: int | None = None,
) -> Dataset:
    """Opens a data set by its name or path; raises `DataError`.

    `resolution` crops images to a central square and resizes them. `labels` names a CSV file (file,label for files;
    one label a row for arrays) or an IDX labels file. With `conditional=False` labels are ignored. `window`, `stride`
    and `fill_gaps` are for series, `frames` and `frame_step` for clips, and the settings from `field` to `length` for
    texts. Images of more than `memory_limit` bytes of pixels (2 GiB) are decoded on demand. With
    `condition` samples are conditioned on numbers instead of classes: "numbers" reads the labels as numbers; a .npz,
    .npy or .csv file has one row for each sample.
    """
    from sparring.data.conditioning import NUMBERS, conditioned
    from sparring.data.dataset import MEMORY_LIMIT, DataError

    if condition is not None and not conditional:
        raise DataError("--data.condition has no effect with --data.conditional false: drop one of the two")
    if resolution is not None and (isinstance(resolution, bool) or not 1 <= resolution <= LARGEST_RESOLUTION):
        raise DataError(f"the resolution must be a whole number from 1 to {LARGEST_RESOLUTION}, not {resolution}")
    options: dict[str, Any] = {
        "field": field, "split": split, "tokenizer": tokenizer, "vocabulary": vocabulary, "length": length,
        "window": window, "stride": stride, "fill_gaps": fill_gaps or None, "frames": frames, "frame_step": frame_step,
        "resolution": resolution, "labels": labels,
    }  # fmt: skip
    given = {name: value for name, value in options.items() if value is not None}
    modality = _claiming(path, given)
    limit = MEMORY_LIMIT if memory_limit is None else memory_limit
    labels_as: Conditional = "numbers" if condition == NUMBERS else conditional
    dataset = modality.opening.open(path, given, conditional=labels_as, memory_limit=limit)
    return dataset if condition is None else conditioned(dataset, condition)


def _claiming(path: str, given: Options) -> Modality:
    """The modality that opens a name or path; raises `DataError` if none does or an option has no effect."""
    from sparring.data.budgets import require_regular
    from sparring.data.dataset import DataError

    is_name = any(modality.opening.named(path) is not None for modality in MODALITIES.values())
    if is_name and "labels" in given:
        raise DataError(f"{path} brings its own labels or has none: leave out the labels file {given['labels']}")
    if not is_name and not os.path.exists(path):
        raise DataError(f"there is no file or folder {path!r}; data is one of: {_known()}")
    if not is_name:
        require_regular(path)
    for modality in MODALITIES.values():
        opening = modality.opening
        claims = opening.named(path) is not None if is_name else opening.claims(path, given)
        of_name = opening.named(path)
        effective = opening.effective if of_name is None else of_name
        useless = [name for name in given if (name not in effective if claims else name in opening.own)]
        if useless:
            kind = modality.kind if claims else opening.others
            raise DataError(f"--data.{useless[0]} has no effect on {kind} like {path}: drop it")
        if claims:
            return modality
    raise DataError(f"{path} holds no known kind of data; data is one of: {_known()}")


def _known() -> str:
    files = (modality.opening.files for modality in reversed(MODALITIES.values()))
    return ", ".join([*built_in_names(), *filter(None, files)])
