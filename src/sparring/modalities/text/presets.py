"""Configurations for texts."""

from sparring.config import Config


def texts() -> Config:
    """`sparring.presets.texts`."""
    from sparring import presets

    return presets.texts()
