"""Shows and saves samples: the part that all modalities share. The primitives are in `sparring.display`."""

from __future__ import annotations

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from PIL import Image
from torch import Tensor

from sparring.config import ConfigError
from sparring.data.spec import DataSpec
from sparring.display import pictures

ARRAYS = ".npz"


class Display(ABC):
    """Shows and saves samples as `GAN.sample` gives them."""

    sheet_suffix: ClassVar[str]
    """The suffix of the file that `save_sheet` writes."""
    single: ClassVar[str]
    """The suffix of a single sample's file."""
    together: ClassVar[tuple[str, ...]]
    """Suffixes of files that hold all samples; the first is the default."""
    arrays: ClassVar[tuple[str, ...]] = (ARRAYS,)
    """Suffixes of files that hold samples as arrays."""
    comparisons: ClassVar[tuple[str, ...]] = ()
    """Suffixes of what `compare` writes; none where there is no such plot."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @abstractmethod
    def save_sheet(self, samples: Any, path: Path, columns: int | None = None) -> Path:
        """Writes all samples to look at, in `columns`. A `path` without a suffix gets one; returns the whole path."""

    @abstractmethod
    def save_one(self, samples: Any, path: Path, spec: DataSpec) -> None:
        """The first of the samples."""

    @abstractmethod
    def save_all(self, samples: Any, path: Path, spec: DataSpec) -> None: ...

    @abstractmethod
    def html(self, samples: Any, alt: str, columns: int | None = None) -> str:
        """The samples inside a page."""

    def save_arrays(self, samples: Any, path: Path) -> None:
        pictures.save_arrays(samples, path)

    def lines(self, samples: Any) -> list[str]:
        """The samples as lines for a terminal; none where they must be drawn."""
        return []

    def compare(self, samples: Any, real: Any, spec: DataSpec, path: Path) -> None:
        """Plots samples beside real ones; only where there are `comparisons`."""
        raise NotImplementedError

    def download_suffix(self) -> str:
        """The suffix of a single sample that a user downloads from the page."""
        return self.single

    def check_out(self, path: Path) -> None:
        """Raises `ConfigError` for a file that cannot be written, before any work is done."""
        suffixes = (*self.together, *self.arrays)
        if path.suffix and path.suffix.lower() not in suffixes:
            raise ConfigError(
                f"--out {path} must end in {', '.join(suffixes)}, or be a folder: {self.kind} are saved so"
            )

    def save(self, samples: Any, path: Path, spec: DataSpec) -> None:
        """In one file, as a picture, a film, a table, lines or arrays, or singly in a folder."""
        self.check_out(path)
        if not path.suffix:
            path.mkdir(parents=True, exist_ok=True)
            for index in range(len(samples)):
                self.save_one(samples[index : index + 1], path / f"{index:05d}{self.single}", spec)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in self.arrays:
            self.save_arrays(samples, path)
        else:
            self.save_all(samples, path, spec)


class Drawing(Display):
    """Shows samples that are tensors as pictures."""

    sheet_suffix = ".png"

    @abstractmethod
    def picture(self, samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
        """Samples (N, ...) in `columns` as one picture; samples without bounds are drawn on the scale of others
        (M, ...)."""

    def save_sheet(self, samples: Tensor, path: Path, columns: int | None = None) -> Path:
        path = path if path.suffix else path.with_suffix(self.sheet_suffix)
        pictures.save_image(self.picture(samples, columns), path)
        return path

    def film(self, walk: Sequence[Tensor]) -> list[Image.Image]:
        """Frames of samples (N, *sample_shape) that change, all on one scale."""
        scale = torch.cat(list(walk))
        return [self.picture(samples, None, scale) for samples in walk]

    def html(self, samples: Tensor, alt: str, columns: int | None = None) -> str:
        stream = io.BytesIO()
        self.picture(samples, columns).save(stream, format="PNG")
        return embedded(stream.getvalue(), "png", alt)


def embedded(content: bytes, kind: str, alt: str) -> str:
    """A picture inside a page."""
    return f'<img alt="{alt}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'
