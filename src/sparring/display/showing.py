"""How samples are shown and saved, by what they are: texts (L,), series (C, T), pictures (C, H, W), clips (C, T, H, W).

`samples` below are what `GAN.sample` gives: a tensor, or of texts a list of strings.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from sparring.config import ConfigError
from sparring.data.dataset import printable
from sparring.data.spec import DataSpec
from sparring.display import pictures, plots, texts, video

ARRAYS = ".npz"


@dataclass(frozen=True)
class Showing:
    """One kind of sample: its name, how many make one picture, and how to draw and save it."""

    name: str
    picture: Callable[[Tensor, int | None, Tensor | None], Image.Image] | None
    """Samples (N, ...) in so many columns as one picture, those without bounds on the scale of others (M, ...); None of
    what cannot be drawn."""
    save_one: Callable[[Any, Path, DataSpec], None]
    save_all: Callable[[Any, Path, DataSpec], None]
    single: str
    """The suffix of a single sample's file."""
    together: tuple[str, ...]
    """Suffixes of files that hold all samples; the first is the default."""


def _pictures(samples: Tensor, columns: int | None, scale: Tensor | None) -> Image.Image:
    return pictures.grid(samples, columns)


def _clips_in_a_row(samples: Tensor, columns: int | None, scale: Tensor | None) -> Image.Image:
    """A clip a row, its frames side by side; of a hundred clips the first ten."""
    frames = samples[: 2 * video.ROWS].transpose(1, 2)  # (N, T, C, H, W)
    return pictures.grid(frames.flatten(0, 1), samples.shape[2])


SHOWINGS = {
    0: Showing("texts", None, texts.save_lines, texts.save_lines, ".txt", (".txt", ".jsonl")),
    1: Showing("series", plots.plot_series, plots.save_csv, plots.save_all, ".csv", (".csv", ".png")),
    2: Showing(
        "pictures", _pictures, lambda sample, path, spec: pictures.save_image(pictures.to_image(sample[0]), path),
        lambda samples, path, spec: pictures.save_image(pictures.grid(samples), path), ".png",
        (".png", ".webp", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff"),
    ),
    3: Showing("clips", _clips_in_a_row, video.save_clip, video.save_clips, ".webp", (".webp", ".gif", ".mp4")),
}  # fmt: skip


def showing_of(sample_shape: tuple[int, ...]) -> Showing:
    return SHOWINGS[len(sample_shape) - 1]


def page_facts(spec: DataSpec) -> dict[str, Any]:
    """What a page must know of samples to show them: the kind, the shape as shown (of series without the channel that
    says where they end), the names of classes and channels."""
    shape, channels = spec.sample_shape, spec.channels
    return {
        "kind": showing_of(shape).name,
        "shape": list(shape) if channels is None else [len(channels.names), *shape[1:]],
        "classes": [printable(name) for name in spec.class_names],
        "channels": [] if channels is None else [printable(name) for name in channels.names],
    }


def file_name(title: str) -> str:
    """A title as the beginning of a file's name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", title).strip("-") or "sample"


def sheet_suffix(sample_shape: tuple[int, ...]) -> str:
    """Of the file that `save_sheet` writes."""
    return ".png" if showing_of(sample_shape).picture else ".txt"


def save_sheet(samples: Any, path: Path, columns: int | None = None) -> Path:
    """All samples for a person to look at, in so many columns: a picture, or texts. Where `path` has no suffix it gets
    one; returns the whole path."""
    path = path if path.suffix else path.with_suffix(".png" if isinstance(samples, Tensor) else ".txt")
    if isinstance(samples, Tensor):
        draw = showing_of(tuple(samples.shape[1:])).picture
        assert draw is not None, "what is a tensor can be drawn"
        pictures.save_image(draw(samples, columns, None), path)
    else:
        if path.suffix.lower() not in SHOWINGS[0].together:
            raise ConfigError(f"--out {path} must end in {', '.join(SHOWINGS[0].together)}: texts are saved so")
        texts.save_lines(samples, path, columns=columns)
    return path


def excerpt(samples: Any) -> str:
    """A line for the log while training: of texts the first few."""
    return "" if isinstance(samples, Tensor) else "samples: " + " | ".join(samples[:3])


def beside(first: Any, second: Any) -> Any:
    """Samples in turn, one of each."""
    if isinstance(first, Tensor):
        return torch.stack([first, second], 1).flatten(0, 1)
    return [text for pair in zip(first, second, strict=True) for text in pair]


def film(walk: Sequence[Tensor]) -> list[Image.Image]:
    """Samples (N, *sample_shape) that change from frame to frame, all on one scale."""
    draw, scale = showing_of(tuple(walk[0].shape[1:])).picture, torch.cat(list(walk))
    assert draw is not None, "texts do not make a film"
    return [draw(samples, None, scale) for samples in walk]


def check_out(path: Path, spec: DataSpec) -> None:
    """Raises `ConfigError` for a file that cannot be written, before any work is done."""
    showing, suffix = showing_of(spec.sample_shape), path.suffix.lower()
    arrays = (ARRAYS,) if showing.picture else ()
    if suffix and suffix not in (*arrays, *showing.together):
        kinds = ", ".join([*showing.together, *arrays])
        raise ConfigError(f"--out {path} must end in {kinds}, or be a folder: {showing.name} are saved so")
    if suffix in video.FORMATS and showing.name == "clips":
        video.check_format(path)


def save(samples: Any, path: Path, spec: DataSpec) -> None:
    """In one file (a picture, a film, a table, or in .npz an array "samples", of series (N, T, C) as they are read
    `series`), or singly in a folder."""
    check_out(path, spec)
    showing = showing_of(spec.sample_shape)
    if not path.suffix:
        path.mkdir(parents=True, exist_ok=True)
        for index in range(len(samples)):
            showing.save_one(samples[index : index + 1], path / f"{index:05d}{showing.single}", spec)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ARRAYS and showing.name == "series":
        pictures.save_arrays(samples.transpose(1, 2), path, "series")
    elif path.suffix.lower() == ARRAYS:
        pictures.save_arrays(samples, path)
    else:
        showing.save_all(samples, path, spec)
