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
    def __init__(self, codec: Codec, generator: Generator, critics: list[Critic]) -> None:
        super().__init__()
        self.codec, self.generator = codec, generator
        self.critics = nn.ModuleList(critics)

    def list_critics(self) -> list[Critic]:
        return list(self.critics)  # type: ignore[arg-type]


def build(config: Config, spec: DataSpec) -> Networks:
    """Networks with initial weights. Raises `ConfigError` or `ValueError` for settings that do not fit the data."""
    modality = modality_of(spec)
    modality.check(config, spec)
    model = config.model
    codec = config.codec.build(spec, 2 ** max(config.stems))
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
    critics = zip(config.critics, config.stems[1:], strict=True)
    return Networks(codec, generator, [_critic(critic, codec, stem, model.depth, shared) for critic, stem in critics])


def _critic(settings: CriticSettings, codec: Codec, stem: int, depth: int, shared: dict[str, Any]) -> Critic:
    view = settings.build(codec, stem)
    _check_tokens(view.tokenizer.grid)
    discriminator = Discriminator(
        view.tokenizer.grid,
        view.tokenizer.token_dim,
        depth=settings.depth or depth,
        stem=stem,
        separate_frames=view.separate_frames,
        **shared,
    )
    return Critic(view, discriminator, weight=settings.weight, gamma=settings.gamma)


def _check_tokens(grid: tuple[int, ...]) -> None:
    if math.prod(grid) > MAX_TOKENS:
        raise ConfigError(
            f"{'×'.join(map(str, grid))} is more than {MAX_TOKENS} tokens: choose a larger --codec.patch_size, "
            "or smaller samples (for pictures a --data.resolution)"
        )
