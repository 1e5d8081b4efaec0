"""Configurations for points."""

from sparring.config import Config


def points() -> Config:
    """`sparring.presets.points`."""
    from sparring import presets

    return presets.points()
