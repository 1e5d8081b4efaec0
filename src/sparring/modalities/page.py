"""The facts about samples that web pages and model cards need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.data.spec import DataSpec


class Page:
    """Describes samples of pixels; other modalities override this."""

    kind: ClassVar[str]
    """The page's word for the modality; the page's script chooses by it how to draw samples."""
    pipeline: ClassVar[str | None] = None
    """The Hugging Face hub's name for the task."""

    def facts(self, spec: DataSpec) -> dict[str, Any]:
        """The kind, the shape as shown, the condition, and the names of channels."""
        from sparring.data.dataset import printable

        return {
            "kind": self.kind,
            "shape": self.shape(spec),
            "condition": spec.condition.to_dict() | {"names": [printable(name) for name in spec.condition.names]},
            "channels": [printable(name) for name in spec.channel_names],
        }

    def shape(self, spec: DataSpec) -> list[int]:
        """The shape of a sample in the user's form."""
        return list(spec.sample_shape)

    def vocabulary(self, spec: DataSpec) -> dict[str, Any] | None:
        """The symbols by which a page that generates texts decodes them; None for other modalities."""
        return None

    def encode(self, samples: Any) -> bytes | Sequence[str]:
        """Converts samples for the page: to strings, or to the bytes of all numbers (pixels as uint8)."""
        pixels: Tensor = samples
        return pixels.clamp(-1, 1).add(1).mul(127.5).round().byte().numpy().tobytes()

    def description(self, spec: DataSpec) -> str:
        """The kind and the shape, in words."""
        return f"{self.kind} of {'×'.join(map(str, spec.sample_shape))}"

    def returns(self, spec: DataSpec, count: int) -> str:
        """A description of what `GAN.sample` returns for `count` samples."""
        return f"({', '.join(map(str, (count, *spec.sample_shape)))}), float in [-1, 1]"
