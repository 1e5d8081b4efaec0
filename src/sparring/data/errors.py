"""The error of unusable data, and text from files made fit to show."""

import unicodedata

_JOINERS = "\u200c\u200d\u00ad"  # of scripts and of emoji; the soft hyphen does no harm


class DataError(ValueError):
    """The data cannot be used as asked. The message is one line: what is wrong and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """`text` on one line, encodable as UTF-8 and without what controls a terminal or turns a line around, whatever a
    file or a stranger's run held."""
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    return " ".join("".join(c for c in text if c.isspace() or not _controls(c)).split())


def _controls(character: str) -> bool:
    kind = unicodedata.category(character)
    return kind == "Cc" or (kind == "Cf" and character not in _JOINERS)
