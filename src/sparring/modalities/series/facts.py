"""The facts of series data that a spec holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparring.data.spec import DataSpec


def scaling(spec: DataSpec) -> Any:
    """The `Channels` of series."""
    assert spec.channels is not None, "series have channels"
    return spec.channels
