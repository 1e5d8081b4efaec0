"""What of a configuration may be given away with a model."""

import re
from pathlib import Path

from sparring.config import Config
from sparring.modalities.registry import built_in_names

HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?(:[^/\\]+)?", re.ASCII)
PUBLIC = ("hf:", "dinov2:")


def without_paths(config: Config) -> Config:
    """The settings with files and folders by name alone: where they lie on somebody's disk is nobody's business."""
    return config.replace(
        {
            "data.path": _bare(config.data.path),
            "data.labels": config.data.labels and _bare(config.data.labels),
            "data.condition": config.data.condition and _bare(config.data.condition),
            "train.extractor": config.train.extractor and _bare(config.train.extractor),
        }
    )


def _bare(path: str) -> str:
    """The last part of a path, and of what stands after a kind of extractor; a hub's name is whole."""
    kind, colon, where = path.partition(":")
    if kind + colon in PUBLIC and HUB_NAME.fullmatch(where) and not Path(where).exists():
        return path
    if colon and kind != "hf" and re.fullmatch(r"[a-z0-9-]{2,}", kind):  # an extractor, not a disk of Windows
        return kind + colon + _bare(where)
    name = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    return f"./{name}" if name in built_in_names() and name != path else name
