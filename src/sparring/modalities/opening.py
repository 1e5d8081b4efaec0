"""The interface by which a modality recognises and opens data. This module does not import PyTorch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sparring.data.dataset import Conditional, Dataset
    from sparring.data.spec import DataSpec

Options = Mapping[str, Any]
"""The settings of `open_dataset` that were given, by name."""


class Opening(ABC):
    """Recognises and opens the data of a modality, with the readers of `sparring.data`."""

    built_in: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """The names of data sets that need no files, and the options that have an effect on each."""
    files: ClassVar[str] = ""
    """The files that it reads, in words."""
    reads_values: ClassVar[bool] = False
    """Whether `values` reads samples from a file without making a data set."""
    own: ClassVar[tuple[str, ...]] = ()
    """The options that only this modality has."""
    effective: ClassVar[tuple[str, ...]] = ()
    """The options that have an effect on its files."""
    others: ClassVar[str] = "samples"
    """A word for the content of files of other modalities, on which `own` options have no effect."""

    def named(self, name: str) -> tuple[str, ...] | None:
        """The options that have an effect on the data set of this name; None if it is not of this modality."""
        return self.built_in.get(name)

    @abstractmethod
    def claims(self, path: str, options: Options) -> bool:
        """Whether a file or folder holds samples of this modality, given the options."""

    @abstractmethod
    def open(self, path: str, options: Options, *, conditional: Conditional, memory_limit: int) -> Dataset:
        """Opens a name or a path, its labels as `conditional` says; raises `DataError`."""

    # ---- other data for a trained run -----------------------------------------------------------------------------

    def options_for(self, spec: DataSpec, options: dict[str, Any]) -> dict[str, Any]:
        """A run's options for opening other data: unset ones follow from the shape of the run's samples."""
        return options

    def open_few(self, path: str, options: Options) -> Dataset | None:
        """Opens a file with too few samples to train on; None if the file is to be opened as any other."""
        return None

    def holds_values(self, path: str) -> bool:
        """Whether `values` reads the file."""
        return False

    def values(self, path: str, options: Options, field: str | None = None) -> list[str]:
        """Reads the samples of a file in the user's form, with a run's options; `field` overrides theirs."""
        raise NotImplementedError

    def notes(self, dataset: Dataset) -> str:
        """A possible reason why another set of this modality does not fit, for an error message."""
        return ""

    def advice(self, first: DataSpec, second: DataSpec, *, resizable: bool) -> str:
        """The remedy for samples of two shapes; `resizable`: both can be opened again with other options."""
        return "bring them to one shape"
