"""The facts of text data that a spec holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sparring.data.spec import DataSpec


def symbols(spec: DataSpec) -> Any:
    """The `Vocabulary` of texts."""
    assert spec.vocabulary is not None, "texts have a vocabulary"
    return spec.vocabulary
