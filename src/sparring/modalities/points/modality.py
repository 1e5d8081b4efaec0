"""Points in the plane (2, 1, 1), for teaching and tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparring.modalities.image.modality import ImagePage
from sparring.modalities.modality import Modality
from sparring.modalities.points.opening import PointsOpening
from sparring.modalities.points.presets import PRESETS, points

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.config import Config
    from sparring.data.spec import DataSpec
    from sparring.modalities.display import Display
    from sparring.modalities.scoring import Scoring


class Points(Modality):
    name, kind, axes = "points", "pictures", 3

    opening = PointsOpening()
    page = ImagePage()
    presets = PRESETS

    @property
    def display(self) -> Display:
        from sparring.modalities.points.display import PointsDisplay

        return PointsDisplay(self.kind)

    @property
    def scoring(self) -> Scoring:
        from sparring.modalities.points.scoring import PointsScoring

        return PointsScoring()

    def to_user_tensor(self, samples: Tensor, spec: DataSpec) -> Tensor:
        return samples.clamp(-1, 1)

    def default(self, spec: DataSpec, count: int) -> Config:
        return points()
