"""Images in a grid or in files of their own."""

from pathlib import Path

from PIL import Image
from torch import Tensor

from sparring.data.spec import DataSpec
from sparring.display import images
from sparring.modalities.display import Drawing


class ImageDisplay(Drawing):
    single_suffix = ".png"
    suffixes = (".png", ".webp", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff")

    def draw(self, samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
        return images.grid(samples, columns)

    def save_one(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        images.save_image(images.to_image(samples[0]), path)

    def save_all(self, samples: Tensor, path: Path, spec: DataSpec) -> None:
        images.save_image(self.draw(samples), path)
