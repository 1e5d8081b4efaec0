"""Configurations for clips."""

from sparring.config import Config


def clips(frames: int, height: int, width: int) -> Config:
    """`sparring.presets.clips`."""
    from sparring import presets

    return presets.clips(frames, height, width)
