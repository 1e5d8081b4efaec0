"""Texts as lines of a file."""

import json
from collections.abc import Sequence
from pathlib import Path

from sparring.files import write_atomic

LINE = 120
"""The maximum number of characters of a line with several texts."""


def save_lines(texts: Sequence[str], path: Path, columns: int | None = None) -> None:
    """Saves one text per line (.txt), or several in `columns` that fit; a .jsonl file gets lines {"text": ...}."""
    longest = max(map(len, texts), default=0)
    step = columns if columns and 0 < longest <= LINE // columns - 3 else 1
    if path.suffix.lower() == ".jsonl":
        lines = [json.dumps({"text": text}, ensure_ascii=False) for text in texts]
    else:
        lines = ["   ".join(t.ljust(longest) for t in texts[i : i + step]).rstrip() for i in range(0, len(texts), step)]
    content = "".join(f"{line}\n" for line in lines)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda temporary: temporary.write_text(content, encoding="utf-8"))
