"""Texts on a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparring.modalities.page import Page

if TYPE_CHECKING:
    from sparring.data.spec import DataSpec


class TextPage(Page):
    kind = "texts"
    pipeline = "text-generation"

    def vocabulary(self, spec: DataSpec) -> dict[str, Any] | None:
        known = spec.vocabulary
        assert known is not None, "texts have a vocabulary"
        facts: dict[str, Any] = {"tokenizer": known.tokenizer, "symbols": list(known.symbols)}
        return facts | ({"bytes": bytes_of_letters()} if known.tokenizer == "bpe" else {})

    def encoded(self, samples: Any) -> Sequence[str]:
        texts: list[str] = samples
        return texts

    def sized(self, spec: DataSpec) -> str:
        return f"texts of at most {spec.sample_shape[0]} symbols"

    def gives(self, spec: DataSpec, count: int) -> str:
        return f"{count} strings"


# Radford et al. 2019 (GPT-2): bytes that no one can read are written as letters beyond the 255th
def bytes_of_letters() -> dict[str, int]:
    """The byte that each letter of a byte-pair symbol stands for."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(other)}
