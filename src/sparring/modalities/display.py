"""The interface by which a modality shows and saves samples. The drawing functions are in `sparring.display`."""

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
from sparring.display import images

ARRAYS = ".npz"


class Display(ABC):
    """Shows and saves samples in the user's form."""

    sheet_suffix: ClassVar[str]
    """The suffix of the file that `save_sheet` writes."""
    single_suffix: ClassVar[str]
    """The suffix of a file of one sample."""
    suffixes: ClassVar[tuple[str, ...]]
    """The suffixes of files of many samples; the first is the default."""
    array_suffixes: ClassVar[tuple[str, ...]] = (ARRAYS,)
    """The suffixes of files that `save_arrays` writes."""
    comparison_suffixes: ClassVar[tuple[str, ...]] = ()
    """The suffixes of files that `compare` writes; empty if the modality has no such plot."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    @abstractmethod
    def save_sheet(self, samples: Any, path: Path, columns: int | None = None) -> Path:
        """Saves an overview of all samples; adds a suffix to `path` if it has none, and returns the path."""

    @abstractmethod
    def save_one(self, samples: Any, path: Path, spec: DataSpec) -> None:
        """Saves the first sample."""

    @abstractmethod
    def save_all(self, samples: Any, path: Path, spec: DataSpec) -> None: ...

    @abstractmethod
    def html(self, samples: Any, alt: str, columns: int | None = None) -> str: ...

    def save_arrays(self, samples: Any, path: Path) -> None:
        images.save_arrays(samples, path)

    def lines(self, samples: Any) -> list[str]:
        """The samples for a terminal; empty for samples that are drawn."""
        return []

    def compare(self, samples: Any, real: Any, spec: DataSpec, path: Path) -> None:
        """Plots generated and real samples; only if there are `comparison_suffixes`."""
        raise NotImplementedError

    def download_suffix(self) -> str:
        """The suffix of a sample's file that the page offers for download."""
        return self.single_suffix

    def check_path(self, path: Path) -> None:
        """Raises `ConfigError` if `save` cannot write the file."""
        suffixes = (*self.suffixes, *self.array_suffixes)
        if path.suffix and path.suffix.lower() not in suffixes:
            raise ConfigError(
                f"--out {path} must end in {', '.join(suffixes)}, or be a folder: {self.kind} have no other format"
            )

    def save(self, samples: Any, path: Path, spec: DataSpec) -> None:
        """Saves samples as one file if `path` has a suffix, else singly in the folder `path`."""
        self.check_path(path)
        if not path.suffix:
            path.mkdir(parents=True, exist_ok=True)
            for index in range(len(samples)):
                self.save_one(samples[index : index + 1], path / f"{index:05d}{self.single_suffix}", spec)
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() in self.array_suffixes:
            self.save_arrays(samples, path)
        else:
            self.save_all(samples, path, spec)


class Drawing(Display):
    """Draws samples that are tensors."""

    sheet_suffix = ".png"

    @abstractmethod
    def draw(self, samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
        """Draws samples (N, ...) as one image; unbounded values are scaled to the range of `scale` (M, ...)."""

    def save_sheet(self, samples: Tensor, path: Path, columns: int | None = None) -> Path:
        path = path if path.suffix else path.with_suffix(self.sheet_suffix)
        images.save_image(self.draw(samples, columns), path)
        return path

    def frames(self, walk: Sequence[Tensor]) -> list[Image.Image]:
        """Draws each batch (N, *sample_shape) of a latent walk as a frame of a video, all on one scale."""
        scale = torch.cat(list(walk))
        return [self.draw(samples, None, scale) for samples in walk]

    def html(self, samples: Tensor, alt: str, columns: int | None = None) -> str:
        stream = io.BytesIO()
        self.draw(samples, columns).save(stream, format="PNG")
        return embedded(stream.getvalue(), "png", alt)


def embedded(content: bytes, kind: str, alt: str) -> str:
    """An image element with its content inside."""
    return f'<img alt="{alt}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'
