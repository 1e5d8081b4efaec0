"""Recognises and opens data of a modality. Modules named `opening` import no PyTorch until data are opened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sparring.data.dataset import Conditional, Dataset
    from sparring.data.spec import DataSpec

Options = Mapping[str, Any]
"""Settings of `open_dataset` that were given, by name."""


class Opening(ABC):
    """Recognises and opens the data of a modality, with the readers of `sparring.data`."""

    built_in: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Names of data sets that need no files, each with the options that have an effect on it."""
    files: ClassVar[str] = ""
    """The files it reads, in words."""
    reads_values: ClassVar[bool] = False
    """Whether a user's samples are read by `values`, without a data set around them."""
    own: ClassVar[tuple[str, ...]] = ()
    """Options that belong to this modality."""
    effective: ClassVar[tuple[str, ...]] = ()
    """Options that have an effect on its files."""
    others: ClassVar[str] = "samples"
    """The plural noun, in messages, for samples of files that it does not claim."""

    def named(self, name: str) -> tuple[str, ...] | None:
        """The options that have an effect on a data set of this name; None where it is not of this modality."""
        return self.built_in.get(name)

    @abstractmethod
    def claims(self, path: str, options: Options) -> bool:
        """Whether a file or folder holds such samples, the options given."""

    @abstractmethod
    def open(self, path: str, options: Options, *, conditional: Conditional, memory_limit: int) -> Dataset:
        """Opens a name or a path, its labels as `conditional` says; raises `DataError`."""

    # ---- data beside that of a run --------------------------------------------------------------------------------

    def fitting(self, spec: DataSpec, options: dict[str, Any]) -> dict[str, Any]:
        """A run's options, for other data than its own: the shape of its samples adds some."""
        return options

    def open_few(self, path: str, options: Options) -> Dataset | None:
        """Samples of a file too small to learn from; None where it is opened as any other."""
        return None

    def holds_values(self, path: str) -> bool:
        """Whether `values` reads the file."""
        return False

    def values(self, path: str, options: Options, field: str | None = None) -> list[str]:
        """A user's samples in a file, read with a run's options; a `field` goes before the run's."""
        raise NotImplementedError

    def what_was_left_out(self, dataset: Dataset) -> str:
        """A reason, in words, why samples of this modality may not fit a run's."""
        return ""

    def advice(self, first: DataSpec, second: DataSpec, *, resizable: bool) -> str:
        """A remedy for two shapes of samples; `resizable` where both can be read anew."""
        return "bring them to one shape"
