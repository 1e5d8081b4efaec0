"""The built-in sets of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from sparring.modalities.opening import Opening, Options

if TYPE_CHECKING:
    from sparring.data.dataset import Conditional, Dataset


class PointsOpening(Opening):
    built_in: ClassVar[Mapping[str, tuple[str, ...]]] = {"rings": ("resolution",), "grid": ("resolution",)}

    def claims(self, path: str, options: Options) -> bool:
        return False

    def open(self, path: str, options: Options, *, conditional: Conditional, memory_limit: int) -> Dataset:
        from sparring.data import synthetic
        from sparring.data.dataset import DataError

        if options.get("resolution", 1) != 1:
            raise DataError(f"{path} are points, not images: leave out --resolution")
        return synthetic.rings() if path == "rings" else synthetic.grid()
