"""Removes file paths from a configuration before a model is published."""

import re
from pathlib import Path

from sparring.config import Config
from sparring.modalities.registry import built_in_names

HUB_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?(:[^/\\]+)?", re.ASCII)
PUBLIC = ("hf:", "dinov2:")


def without_paths(config: Config) -> Config:
    """The configuration with the names of files and folders, without their paths."""
    return config.replace(
        {
            "data.path": _bare(config.data.path),
            "data.labels": config.data.labels and _bare(config.data.labels),
            "data.condition": config.data.condition and _bare(config.data.condition),
            "train.extractor": config.train.extractor and _bare(config.train.extractor),
            "train.init_from": config.train.init_from and _bare(config.train.init_from),
        }
    )


def _bare(path: str) -> str:
    """The last part of a path, also after the prefix of an extractor; names on the hub stay whole."""
    kind, colon, where = path.partition(":")
    if kind + colon in PUBLIC and HUB_NAME.fullmatch(where) and not Path(where).exists():
        return path
    if colon and kind != "hf" and re.fullmatch(r"[a-z0-9-]{2,}", kind):  # an extractor, not a Windows drive
        return kind + colon + _bare(where)
    name = re.split(r"[/\\]", path.rstrip("/\\"))[-1]
    return f"./{name}" if name in built_in_names() and name != path else name
