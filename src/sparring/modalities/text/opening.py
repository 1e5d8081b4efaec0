"""The names and files of texts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

from sparring.modalities.opening import Opening, Options

if TYPE_CHECKING:
    from sparring.data.dataset import Conditional, Dataset

_SYMBOLS = ("tokenizer", "vocabulary", "length")


class TextOpening(Opening):
    built_in: ClassVar[Mapping[str, tuple[str, ...]]] = {"names": _SYMBOLS}
    files = "a text (.txt, .jsonl)"
    reads_values = True
    own = effective = ("field", "split", *_SYMBOLS)

    def claims(self, path: str, options: Options) -> bool:
        from sparring.data.text import is_text

        return is_text(path, field=options.get("field"), tokenizer=options.get("tokenizer"))

    def open(self, path: str, options: Options, *, conditional: Conditional, memory_limit: int) -> Dataset:
        from sparring.data import text

        if path == "names":
            return text.open_names(**options)
        return text.open_text(path, conditional=conditional, **options)

    def holds_values(self, path: str) -> bool:
        from sparring.data.text import is_text

        return os.path.isfile(path) and is_text(path, tokenizer="char")

    def values(self, path: str, options: Options, field: str | None = None) -> list[str]:
        """Reads texts; a .txt file has no fields."""
        from sparring.data.text import read_texts

        field = field or (None if path.lower().endswith(".txt") else options.get("field"))
        return [text for text, _ in read_texts(path, field=field, split=options.get("split") or "line")]
