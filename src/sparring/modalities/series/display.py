"""Series as line plots and tables."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from sparring.data.channels import unnamed
from sparring.data.spec import DataSpec
from sparring.display import pictures, plots
from sparring.modalities.display import Drawing


class SeriesDisplay(Drawing):
    single = ".csv"
    together = (".csv", ".png")
    comparisons = plots.FORMATS

    def picture(self, samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
        return plots.plot_series(samples, columns, scale)

    def save_one(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        plots.save_csv(samples, path, spec.channel_names or tuple(unnamed(samples.shape[1])))

    def save_all(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        if path.suffix.lower() == ".csv":
            self.save_one(samples, path, spec)
        else:
            pictures.save_image(self.picture(samples), path)

    def save_arrays(self, samples: Tensor, path: Path) -> None:
        """As they are read, (N, T, C) under the name "series"."""
        pictures.save_arrays(samples.transpose(1, 2), path, "series")

    def compare(self, samples: Tensor, real: Tensor, spec: DataSpec, path: Path) -> None:
        plots.compare(samples, real, spec.channel_names, path)
