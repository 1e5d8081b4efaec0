"""Pictures as a grid, and one by one."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from sparring.data.spec import DataSpec
from sparring.display import pictures
from sparring.modalities.display import Drawing


class ImageDisplay(Drawing):
    single = ".png"
    together = (".png", ".webp", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff")

    def picture(self, samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
        return pictures.grid(samples, columns)

    def save_one(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        pictures.save_image(pictures.to_image(samples[0]), path)

    def save_all(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        pictures.save_image(self.picture(samples), path)
