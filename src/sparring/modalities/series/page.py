"""Series on a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparring.modalities.page import Page

if TYPE_CHECKING:
    from sparring.data.spec import DataSpec


class SeriesPage(Page):
    kind = "series"

    def shape(self, spec: DataSpec) -> list[int]:
        """Without the channel that says where a series ends."""
        return [len(spec.channel_names), *spec.sample_shape[1:]]

    def encoded(self, samples: Any) -> bytes:
        """Little-endian float32."""
        return samples.float().numpy().astype("<f4").tobytes()

    def gives(self, spec: DataSpec, count: int) -> str:
        return f"({', '.join(map(str, (count, *spec.sample_shape)))}), in the data's units"
