"""Configurations for series."""

from sparring.config import Config


def series(length: int, *, whitened: bool) -> Config:
    """`sparring.presets.series`."""
    from sparring import presets

    return presets.series(length, whitened=whitened)
