"""Points as a scatter plot."""

from PIL import Image
from torch import Tensor

from sparring.display.plots import scatter
from sparring.modalities.image.display import ImageDisplay


class PointsDisplay(ImageDisplay):
    def draw(self, samples: Tensor, columns: int | None = None, scale: Tensor | None = None) -> Image.Image:
        return scatter({"generated": samples})
