"""What pages and a model card must know of samples to show or describe them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.data.spec import DataSpec


class Page:
    """Of pixels, unless a modality says otherwise."""

    kind: ClassVar[str]
    """The page's word for the modality, by which its script draws samples."""
    pipeline: ClassVar[str | None] = None
    """The Hugging Face hub's name for what makes them."""

    def facts(self, spec: DataSpec) -> dict[str, Any]:
        """What a page must know of samples: kind, shape as shown, condition, and the channels' names."""
        from sparring.data.dataset import printable

        return {
            "kind": self.kind,
            "shape": self.shape(spec),
            "condition": spec.condition.to_dict() | {"names": [printable(name) for name in spec.condition.names]},
            "channels": [printable(name) for name in spec.channel_names],
        }

    def shape(self, spec: DataSpec) -> list[int]:
        """Of a sample as a person expects it."""
        return list(spec.sample_shape)

    def vocabulary(self, spec: DataSpec) -> dict[str, Any] | None:
        """What a page that makes samples itself needs to spell them; None where there is nothing to spell."""
        return None

    def encoded(self, samples: Any) -> bytes | Sequence[str]:
        """Samples for the page: strings, or all numbers in a row: pixels as bytes from 0 to 255."""
        pixels: Tensor = samples
        return pixels.clamp(-1, 1).add(1).mul(127.5).round().byte().numpy().tobytes()

    def sized(self, spec: DataSpec) -> str:
        """The kind and the shape, in words."""
        return f"{self.kind} of {'×'.join(map(str, spec.sample_shape))}"

    def gives(self, spec: DataSpec, count: int) -> str:
        """What `GAN.sample` returns for so many samples."""
        return f"({', '.join(map(str, (count, *spec.sample_shape)))}), float in [-1, 1]"
