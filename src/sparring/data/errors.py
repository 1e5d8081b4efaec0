"""The error for unusable data, and sanitised text."""

import unicodedata

_JOINERS = "\u200c\u200d\u00ad"  # scripts and emoji need the joiners; the soft hyphen is harmless


class DataError(ValueError):
    """The data cannot be used. The message is one line: what is wrong and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """`text` on one line, encodable as UTF-8, without control characters of terminals or of writing direction."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return " ".join("".join(c for c in text if c.isspace() or not _controls(c)).split())


def _controls(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind == "Cc" or (kind == "Cf" and character not in _JOINERS)
