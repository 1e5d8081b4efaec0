"""The error for unusable data, and sanitised text."""

from sparring.screen import without_controls


class DataError(ValueError):
    """The data cannot be used. The message is one line: what is wrong and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(message))


def printable(text: str) -> str:
    """`text` on one line, encodable as UTF-8, without control characters of terminals or of writing direction."""
    return " ".join(without_controls(text).split())
