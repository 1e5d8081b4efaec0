"""Clips (C, T, H, W), pixels in [-1, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparring.modalities.modality import Modality
from sparring.modalities.video.opening import VideoOpening
from sparring.modalities.video.page import VideoPage

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.config import Config
    from sparring.data.spec import DataSpec
    from sparring.modalities.display import Display
    from sparring.modalities.scoring import Scoring


class Video(Modality):
    name, kind, axes = "video", "clips", 4

    opening = VideoOpening()
    page = VideoPage()

    @property
    def display(self) -> Display:
        from sparring.modalities.video.display import VideoDisplay

        return VideoDisplay(self.kind)

    @property
    def scoring(self) -> Scoring:
        from sparring.modalities.video.scoring import VideoScoring

        return VideoScoring()

    def to_user_tensor(self, samples: Tensor, spec: DataSpec) -> Tensor:
        return samples.clamp(-1, 1)

    def adapted(self, values: Any, theirs: DataSpec, ours: DataSpec) -> Tensor | None:
        from sparring.modalities.image.colour import coloured

        return super().adapted(coloured(values, ours.sample_shape[0]), theirs, ours)

    def greatest(self, apart: Tensor, over: list[int]) -> Tensor:
        """The 98% quantile over frames: rounding may move a layer, which moves by whole pixels, by one more."""
        return apart.amax((1, 3, 4)).quantile(0.98)

    def preset(self, spec: DataSpec, size: str, count: int) -> Config:
        from sparring.modalities.video.presets import clips

        _, frames, height, width = spec.sample_shape
        return clips(frames, height, width)
