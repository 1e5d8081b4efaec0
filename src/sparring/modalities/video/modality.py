"""Video clips (C, T, H, W), pixels in [-1, 1]."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparring.modalities.image.modality import Pixels
from sparring.modalities.page import Page
from sparring.modalities.video.opening import VideoOpening
from sparring.modalities.video.presets import PRESETS, clips

if TYPE_CHECKING:
    from sparring.config import Config
    from sparring.data.spec import DataSpec
    from sparring.modalities.display import Display
    from sparring.modalities.scoring import Scoring


class VideoPage(Page):
    kind = "clips"


class Video(Pixels):
    name, kind, axes = "video", "clips", 4

    opening = VideoOpening()
    page = VideoPage()
    presets = PRESETS

    @property
    def display(self) -> Display:
        from sparring.modalities.video.display import VideoDisplay

        return VideoDisplay(self.kind)

    @property
    def scoring(self) -> Scoring:
        from sparring.modalities.video.scoring import VideoScoring

        return VideoScoring()

    def default(self, spec: DataSpec, count: int) -> Config:
        return clips(*spec.sample_shape[1:])
