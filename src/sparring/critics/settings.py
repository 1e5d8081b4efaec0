"""The settings of critics, one class per view. This module does not import torch: views are imported when built.

A custom view registers its settings with `register_view` and is then available on the command line:
`--critics.1.view mine`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from sparring.settings import Choice, setting

if TYPE_CHECKING:
    from sparring.codecs.codec import Codec
    from sparring.critics.view import View


VIEWS: dict[str, type[CriticSettings]] = {}


class CriticSettings(Choice, ABC):
    """A view of the samples and the discriminator on it."""

    section: ClassVar[str] = "critics.0"
    tag: ClassVar[str] = "view"
    kinds: ClassVar[dict[str, type[Any]]] = VIEWS

    view: str
    depth: int | None = setting(None, "blocks of the discriminator (unset: as the generator)", ge=1, le=512)
    stem: int | None = setting(
        None,
        "stride-2 convolutions of the discriminator (unset: as the generator); one more lowers its cost and widens its "
        "receptive field",
        ge=0,
        le=5,
    )
    weight: float = setting(1.0, "weight of this critic in the losses", ge=0, le=1e6)
    gamma: float = setting(1.0, "factor on r1 and r2 for this critic", ge=0, le=1e6)

    @abstractmethod
    def build(self, codec: Codec, stem: int) -> View:
        """The view of this codec's latents, for a discriminator with `stem` stride-2 convolutions."""


Kind = TypeVar("Kind", bound=CriticSettings)


def register_view(cls: type[Kind]) -> type[Kind]:
    """Registers a view under the default of its field `view`."""
    cls.add_kind()
    return cls


@register_view
class WholeSettings(CriticSettings):
    """The whole sample."""

    view: Literal["whole"] = "whole"

    def build(self, codec: Codec, stem: int) -> View:
        from sparring.critics.view import Whole

        return Whole(codec)


@register_view
class FramesSettings(CriticSettings):
    """A few frames of each clip, sampled anew in every step."""

    view: Literal["frames"] = "frames"
    frames: int = setting(4, "frames of a clip that the discriminator sees", ge=2, le=4096)

    def build(self, codec: Codec, stem: int) -> View:
        from sparring.critics.frames import Frames

        return Frames(codec, self.frames, stem)
