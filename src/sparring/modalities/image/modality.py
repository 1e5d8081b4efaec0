"""Images (C, H, W), pixels in [-1, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparring.modalities.image.opening import ImageOpening
from sparring.modalities.image.presets import PRESETS, images
from sparring.modalities.modality import Modality
from sparring.modalities.page import Page

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.config import Config
    from sparring.data.spec import DataSpec
    from sparring.modalities.display import Display
    from sparring.modalities.scoring import Scoring


class ImagePage(Page):
    kind = "pictures"
    pipeline = "unconditional-image-generation"


class Pixels(Modality):
    """The part that images and videos share: pixels in [-1, 1], with 1 to 4 channels."""

    bounded = True

    def check(self, config: Config, spec: DataSpec) -> None:
        from sparring.config import ConfigError

        super().check(config, spec)
        if spec.sample_shape[0] > 4:
            raise ConfigError(f"{self.kind} have 1 to 4 channels, and not {spec.sample_shape[0]}")

    def to_user_tensor(self, samples: Tensor, spec: DataSpec) -> Tensor:
        return samples.clamp(-1, 1)

    def adapted(self, values: Any, theirs: DataSpec, ours: DataSpec) -> Tensor | None:
        from sparring.modalities.image.channels import convert_channels

        return super().adapted(convert_channels(values, ours.sample_shape[0]), theirs, ours)


class Image(Pixels):
    name, kind, axes = "image", "pictures", 3

    opening = ImageOpening()
    page = ImagePage()
    presets = PRESETS

    @property
    def display(self) -> Display:
        from sparring.modalities.image.display import ImageDisplay

        return ImageDisplay(self.kind)

    @property
    def scoring(self) -> Scoring:
        from sparring.modalities.image.scoring import ImageScoring

        return ImageScoring()

    def default(self, spec: DataSpec, count: int) -> Config:
        return self.preset(spec, None, count)

    def preset(self, spec: DataSpec, size: str | None, count: int) -> Config:
        channels, height, width = spec.sample_shape
        return images(height, width, channels, size or "S", count)
