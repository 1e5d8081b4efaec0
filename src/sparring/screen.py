"""Text on its way to the terminal, where names of files, members and channels come from others.

A name may hold escape sequences: they move the cursor, set the window's title or write over what was said.
"""

import json
import sys
import unicodedata
from typing import Any

_JOINERS = "\u200c\u200d\u00ad"  # scripts and emoji need the joiners; the soft hyphen is harmless


def say(text: object) -> None:
    """Prints a result to stdout."""
    print(without_controls(str(text)))


def note(text: object) -> None:
    """Prints a remark to stderr."""
    print(without_controls(str(text)), file=sys.stderr)


def say_json(value: Any) -> None:
    """Prints JSON to stdout: letters as they are, control characters escaped."""
    text = json.dumps(value, ensure_ascii=False)
    print("".join(json.dumps(c)[1:-1] if is_control(c) else c for c in text))


def without_controls(text: str) -> str:
    """`text`, encodable as UTF-8, without control characters of terminals or of writing direction; lines, spaces and
    tabs stay."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c in "\n\t" or not is_control(c) else " " * c.isspace() for c in text)


def is_control(character: str) -> bool:
    """Whether it steers a terminal or the writing direction, or cannot be encoded."""
    kind = unicodedata.category(character)
    return kind in ("Cc", "Cs") or (kind == "Cf" and character not in _JOINERS)
