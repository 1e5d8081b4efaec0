"""All presets: functions that return a complete configuration. Imports no PyTorch."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparring.config import Config, ConfigError
from sparring.modalities.image.presets import digits, images, unconditional_digits
from sparring.modalities.points.presets import points
from sparring.modalities.preset import SIZES, Preset, for_set, with_loss, with_size
from sparring.modalities.registry import MODALITIES, modality_of
from sparring.modalities.series.presets import series, sines
from sparring.modalities.text.presets import names, texts
from sparring.modalities.video.presets import bouncing, bouncing_1, clips

if TYPE_CHECKING:
    from sparring.data.spec import DataSpec

__all__ = [
    "SIZES", "Preset", "all_presets", "bouncing", "bouncing_1", "clips", "configured", "digits", "for_set", "images",
    "names", "points", "preset_named", "series", "sines", "texts", "unconditional_digits", "with_loss", "with_size",
]  # fmt: skip


def all_presets() -> dict[str, Preset]:
    """The presets of all registered modalities, by name."""
    return {name: preset for modality in reversed(MODALITIES.values()) for name, preset in modality.presets.items()}


def preset_named(name: str) -> Preset:
    """The preset of this name; raises `ConfigError` if there is none."""
    found = all_presets()
    if name not in found:
        raise ConfigError(f"there is no preset {name}; choose from {', '.join(found)}")
    return found[name]


def configured(spec: DataSpec, count: int, *, name: str | None = None, size: str | None = None) -> Config:
    """The configuration for `count` samples of such data: that of the preset `name` or the modality's default."""
    modality = modality_of(spec)
    preset = None if name is None else preset_named(name)
    if preset is None or (preset.general and name in modality.presets):
        return for_set(modality.preset(spec, size, count), count)
    if name not in modality.presets:
        raise ConfigError(f"the preset {name} is not for samples of shape {spec.sample_shape}: drop --preset")
    config = preset.make(spec.sample_shape)
    return for_set(with_size(config, size) if size else config, count)
