"""Models on the Hugging Face hub: names, downloads, and the library's errors in one line.

The library finds the token itself: `hf auth login`, or HF_TOKEN.
"""

import contextlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sparring.files import CheckpointError
from sparring.settings import ConfigError

PREFIX = "hf:"
NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
MODEL = ("model.safetensors", "config.json")


def download(name: str, files: Collection[str] = MODEL) -> Path:
    """Downloads those of `files` that `name` (USER/NAME) has to the library's cache; the files in MODEL must exist."""
    hub = library()
    with asking(name):
        found = Path(hub.snapshot_download(name, allow_patterns=list(files)))
    for file in MODEL:
        if not (found / file).is_file():
            raise CheckpointError(f"{name} is on the hub, but it is not a Sparring model: it has no {file}")
    return found


def repository(name: str) -> str:
    """USER/NAME, from USER/NAME or hf:USER/NAME."""
    found = name.removeprefix(PREFIX)
    if not NAME.fullmatch(found):
        raise ConfigError(f"{name} is not a model name on the hub: write USER/NAME, e.g. someone/digits")
    return found


def library() -> Any:
    try:
        import huggingface_hub
    except ImportError:
        raise ConfigError('the Hugging Face hub needs its extra: pip install "sparring[hub]"') from None
    return huggingface_hub


@contextlib.contextmanager
def asking(name: str) -> Iterator[None]:
    """Turns the library's errors into a `CheckpointError` of one line.

    The library raises errors of three HTTP libraries and of its storage, so all are caught but errors of local files.
    """
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise CheckpointError(_explain(name, error)) from error


def _explain(name: str, error: Exception) -> str:
    from huggingface_hub import constants, errors

    reason, status = " ".join(str(error).split()), _status(error)
    if status in (401, 403) or isinstance(error, errors.LocalTokenNotFoundError):
        return (
            f"the hub refuses {name} ({status or 'no token'}): if the name is right, run `hf auth login` or set "
            "HF_TOKEN; pushing needs a token with write access"
        )
    if status == 404:
        return f"there is no model {name} on the hub that you may see: check the name; if private, run `hf auth login`"
    if isinstance(error, ValueError) and not isinstance(error, OSError):  # network errors of older releases are both
        return f"{name}: {reason}"
    if status is not None:
        return f"the hub answered with an error for {name} ({status}): {reason}"
    return f"{constants.ENDPOINT} did not answer about {name}; is there a network? ({type(error).__name__}: {reason})"


def _status(error: BaseException | None) -> int | None:
    """The HTTP status of an error or of one of its causes."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__ or error.__context__
    return None
