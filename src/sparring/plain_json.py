"""Reading JSON that a stranger may have written."""

import json
from typing import Any


def read_json(text: str | bytes) -> Any:
    """The value of a JSON text. Raises `ValueError` for every other text, those nested too deeply included."""
    try:
        return json.loads(text)
    except RecursionError:  # a RuntimeError, which would pass as a fault of the program
        raise ValueError("its JSON is nested too deeply") from None
