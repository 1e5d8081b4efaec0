"""Builds codec, generator and critics from a configuration and the description of the data."""

import math
from typing import Any

from torch import nn

from sparring.codecs.codec import Codec
from sparring.config import Config, ConfigError
from sparring.critics.critic import Critic
from sparring.critics.settings import CriticSettings
from sparring.data.spec import DataSpec
from sparring.modalities.registry import modality_of
from sparring.models.discriminator import Discriminator
from sparring.models.generator import Generator

MAX_TOKENS = 65_536


class Networks(nn.Module):
    """The codec, the generator and the critics."""

    def __init__(self, codec: Codec, generator: Generator, critics: list[Critic]) -> None:
        super().__init__()
        self.codec, self.generator = codec, generator
        self.critics = nn.ModuleList(critics)

    def list_critics(self) -> list[Critic]:
        return list(self.critics)  # type: ignore[arg-type]

    @property
    def discriminator(self) -> Discriminator:
        """The discriminator of the first critic."""
        return self.list_critics()[0].discriminator


def build(config: Config, spec: DataSpec) -> Networks:
    """Networks with fresh weights. Raises `ConfigError` or `ValueError` for settings that do not fit the data."""
    modality = modality_of(spec)
    modality.check(config, spec)
    model = config.model
    stems = [model.stem, *(critic_stem(critic, config) for critic in config.critics)]
    codec = config.codec.build(spec, 2 ** max(stems))
    codec.bounded = codec.bounded and modality.bounded
    shared: dict[str, Any] = {
        "width": model.width,
        "num_heads": model.num_heads,
        "condition": spec.condition,
        "positions": model.positions,
        "rotary": model.rotary,
        "fourier": model.fourier,
    }
    _check_tokens(codec.tokenizer.grid)
    generator = codec.make_generator(
        depth=model.depth,
        z_dim=model.z_dim,
        noise_dim=model.noise_dim,
        stem=model.stem,
        adaln_gain=model.adaln_gain,
        **shared,
    )
    return Networks(codec, generator, [_critic(critic, codec, config, shared) for critic in config.critics])


def critic_stem(critic: CriticSettings, config: Config) -> int:
    """Stride-2 convolutions of a critic's discriminator."""
    return config.model.stem if critic.stem is None else critic.stem


def _critic(settings: CriticSettings, codec: Codec, config: Config, shared: dict[str, Any]) -> Critic:
    stem = critic_stem(settings, config)
    view = settings.build(codec, stem)
    _check_tokens(view.tokenizer.grid)
    discriminator = Discriminator(
        view.tokenizer.grid,
        view.tokenizer.token_dim,
        depth=settings.depth or config.model.depth,
        stem=stem,
        separate_frames=view.separate_frames,
        **shared,
    )
    return Critic(view, discriminator, weight=settings.weight, gamma=settings.gamma)


def _check_tokens(grid: tuple[int, ...]) -> None:
    if math.prod(grid) > MAX_TOKENS:
        raise ConfigError(
            f"{'×'.join(map(str, grid))} is more than {MAX_TOKENS} tokens: choose a larger --codec.patch_size"
        )
