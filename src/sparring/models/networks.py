"""Both networks and their codec, built from a configuration and the shape of the data."""

import math
from dataclasses import dataclass
from typing import Any

from torch import nn

from sparring.codecs.patch import PatchCodec
from sparring.config import Config, ConfigError
from sparring.models.discriminator import Discriminator
from sparring.models.generator import Generator

MAX_TOKENS = 65_536


@dataclass(frozen=True)
class DataSpec:
    """What the networks must know of the data, stored with the weights."""

    sample_shape: tuple[int, ...]
    class_names: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def to_dict(self) -> dict[str, Any]:
        return {"sample_shape": list(self.sample_shape), "class_names": list(self.class_names)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataSpec":
        return cls(tuple(int(size) for size in values["sample_shape"]), tuple(map(str, values["class_names"])))


class Networks(nn.Module):
    """The generator and the discriminator on the tokens of one codec."""

    codec: PatchCodec
    generator: Generator
    discriminator: Discriminator

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        model = config.model
        self.codec = PatchCodec(spec.sample_shape, config.codec.patch_size, config.codec.overlap)
        shared: dict[str, Any] = {
            "width": model.width,
            "num_heads": model.num_heads,
            "num_classes": spec.num_classes,
            "mlp_ratio": model.mlp_ratio,
            "qk_norm": model.qk_norm,
            "positions": model.positions,
            "rotary": model.rotary,
            "stem": model.stem,
        }
        grid, token_dim = self.codec.grid, self.codec.token_dim
        stem_channels = model.stem_channels or max(1, model.width // 8)
        depth = model.discriminator_depth or model.depth
        if math.prod(grid) > MAX_TOKENS:
            raise ValueError(
                f"{'×'.join(map(str, grid))} is more than {MAX_TOKENS} tokens: choose a larger --codec.patch_size"
            )
        self.generator = Generator(
            grid,
            token_dim,
            depth=model.depth,
            z_dim=model.z_dim,
            noise_dim=model.noise_dim,
            adaln_gain=model.adaln_gain,
            gate_bias=model.gate_bias,
            stem_channels=stem_channels,
            bounded=model.bounded,
            **shared,
        )
        self.discriminator = Discriminator(
            grid,
            token_dim,
            depth=depth,
            layer_scale=model.layer_scale,
            stem_channels=2 * stem_channels,
            **shared,
        )

    def noise_codec(self, config: Config) -> PatchCodec:
        """Turns the tokens' noise into something of the samples' shape, for the optimal-transport term."""
        codec = PatchCodec(self.codec.sample_shape, config.codec.patch_size * 2**config.model.stem)
        if codec.token_dim != config.model.noise_dim:
            raise ConfigError(
                "--loss.transport compares a sample with its tokens' noise, which must have as many numbers: set "
                f"--model.noise_dim {codec.token_dim}"
            )
        return codec

    @classmethod
    def assembled(cls, codec: PatchCodec, generator: Generator, discriminator: Discriminator) -> "Networks":
        """From parts that exist."""
        networks = cls.__new__(cls)
        nn.Module.__init__(networks)
        networks.codec, networks.generator, networks.discriminator = codec, generator, discriminator
        return networks
