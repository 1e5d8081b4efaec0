"""The names and files of time series."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from sparring.modalities.opening import Opening, Options

if TYPE_CHECKING:
    from sparring.data.dataset import Conditional, Dataset
    from sparring.data.spec import DataSpec


class SeriesOpening(Opening):
    built_in: ClassVar[Mapping[str, tuple[str, ...]]] = {"sines": ("window",)}
    files = "a table (.csv, .parquet, .ts) or a folder of them"
    own = ("window", "stride", "fill_gaps")
    effective = (*own, "labels")
    others = "pictures"

    def claims(self, path: str, options: Options) -> bool:
        from sparring.data.series import is_series

        return is_series(path, options.get("window"))

    def open(self, path: str, options: Options, *, conditional: Conditional, memory_limit: int) -> Dataset:
        from sparring.data.series import open_series
        from sparring.data.sines import sines

        if path == "sines":
            return sines(length=options.get("window") or 24)
        return open_series(path, conditional=conditional, memory_limit=memory_limit, **options)

    def options_for(self, spec: DataSpec, options: dict[str, Any]) -> dict[str, Any]:
        """Built-in series are generated with the run's length."""
        return options | ({"window": spec.sample_shape[1]} if options["path"] in self.built_in else {})

    def open_few(self, path: str, options: Options) -> Dataset | None:
        """Opens a table with any number of series."""
        from sparring.data.series import is_series, open_series
        from sparring.data.text import is_text

        if not os.path.isfile(path) or is_text(path) or not is_series(path, options["window"]):
            return None
        settings = {name: options[name] for name in (*self.own, "conditional")}
        return open_series(path, to_learn=False, **settings)

    def notes(self, dataset: Dataset) -> str:
        """The notes of the data set, such as the columns that it leaves out."""
        return "; ".join(dataset.notes)
