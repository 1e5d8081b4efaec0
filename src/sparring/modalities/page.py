"""Facts about samples for the explorer, for shared pages and for model cards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.data.spec import DataSpec


class Page:
    """Describes samples of pixels, unless a modality overrides it."""

    kind: ClassVar[str]
    """The kind by which the page's script draws samples."""
    pipeline: ClassVar[str | None] = None
    """The Hugging Face hub's name for the task."""

    def facts(self, spec: DataSpec) -> dict[str, Any]:
        """Facts that the page needs to show samples: kind, shape as shown, condition, names of channels."""
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
        """The symbols that a page needs to spell samples that it generates; None where nothing is spelled."""
        return None

    def encoded(self, samples: Any) -> bytes | Sequence[str]:
        """Samples for the page: strings, or all numbers in a row: pixels as bytes from 0 to 255."""
        pixels: Tensor = samples
        return pixels.clamp(-1, 1).add(1).mul(127.5).round().byte().numpy().tobytes()

    def sized(self, spec: DataSpec) -> str:
        """The kind and the shape, in words."""
        return f"{self.kind} of {'×'.join(map(str, spec.sample_shape))}"

    def gives(self, spec: DataSpec, count: int) -> str:
        """The return value of `GAN.sample(count)`, in words."""
        return f"({', '.join(map(str, (count, *spec.sample_shape)))}), float in [-1, 1]"
