"""Which names and files hold samples of a modality, and how they are opened. Imports no PyTorch: readers do."""

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
    """How data of a modality are recognised and opened, with readers of `sparring.data`."""

    built_in: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Names of data sets that need no files, each with the options that have an effect on it."""
    files: ClassVar[str] = ""
    """What files it reads, in words."""
    reads_values: ClassVar[bool] = False
    """Whether `values` reads a person's samples without a data set of their own."""
    own: ClassVar[tuple[str, ...]] = ()
    """Options that are for this modality."""
    effective: ClassVar[tuple[str, ...]] = ()
    """Options that have an effect on its files."""
    others: ClassVar[str] = "samples"
    """A word for what files hold that are not of the modality, where its own options have no effect."""

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
        """A run's options with those that follow from the shape of its samples, for other data than its own."""
        return options

    def open_few(self, path: str, options: Options) -> Dataset | None:
        """Samples of a file that need not be a set to learn from; None where it is opened as any other."""
        return None

    def holds_values(self, path: str) -> bool:
        """Whether `values` reads the file."""
        return False

    def values(self, path: str, options: Options, field: str | None = None) -> list[str]:
        """A person's samples as a file holds them, by a run's options; a `field` goes before its own."""
        raise NotImplementedError

    def what_was_left_out(self, dataset: Dataset) -> str:
        """Why samples of the same modality may not be alike, in words."""
        return ""

    def advice(self, first: DataSpec, second: DataSpec, *, resizable: bool) -> str:
        """What to do about two shapes of samples; `resizable` where both can be read anew."""
        return "bring them to one shape"
