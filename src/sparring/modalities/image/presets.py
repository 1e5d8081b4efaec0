"""Configurations for pictures."""

from sparring.config import Config


def images(height: int, width: int, channels: int, size: str, count: int) -> Config:
    """`sparring.presets.images`."""
    from sparring import presets

    return presets.images(height, width, channels, size, count)
