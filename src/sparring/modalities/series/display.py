"""Time series as line plots and tables."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from sparring.data.channels import default_names
from sparring.data.spec import DataSpec
from sparring.display import images, plots
from sparring.modalities.display import Drawing


class SeriesDisplay(Drawing):
    single_suffix = ".csv"
    suffixes = (".csv", ".png")
    comparison_suffixes = plots.FORMATS

    def draw(self, samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
        return plots.plot_series(samples, columns, scale)

    def save_one(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        plots.save_csv(samples, path, spec.channel_names or tuple(default_names(samples.shape[1])))

    def save_all(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        if path.suffix.lower() == ".csv":
            self.save_one(samples, path, spec)
        else:
            images.save_image(self.draw(samples), path)

    def save_arrays(self, samples: Tensor, path: Path) -> None:
        """Saves an array "series" (N, T, C), as it is read again."""
        images.save_arrays(samples.transpose(1, 2), path, "series")

    def compare(self, samples: Tensor, real: Tensor, spec: DataSpec, path: Path) -> None:
        plots.compare(samples, real, spec.channel_names, path)
