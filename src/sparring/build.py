"""Both networks and their codec, built from a configuration and the shape of the data."""

import math
from typing import Any

from torch import nn

from sparring.codecs import Codec, make_codec
from sparring.config import Config
from sparring.data.spec import DataSpec
from sparring.modalities.registry import modality_of
from sparring.models.discriminator import Discriminator
from sparring.models.generator import Generator

MAX_TOKENS = 65_536


def parameter_count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


class Networks(nn.Module):
    """The generator and the discriminator on the tokens of one codec."""

    codec: Codec
    generator: Generator
    discriminator: Discriminator

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        model = config.model
        modality_of(spec).check(config, spec)
        self.codec = make_codec(config, spec.sample_shape, spec.vocabulary)
        shared: dict[str, Any] = {
            "width": model.width,
            "num_heads": model.num_heads,
            "num_classes": spec.num_classes,
            "mlp_ratio": model.mlp_ratio,
            "qk_norm": model.qk_norm,
            "positions": model.positions,
            "rotary": model.rotary,
            "fourier": model.fourier,
        }
        patches = self.codec.patches
        canvas, seen = patches.canvas, patches.seen
        stem_channels = model.stem_channels or max(1, model.width // 4)
        depth = model.discriminator_depth or model.depth
        for grid, count in ((seen.grid, 1), (canvas.grid, patches.num_layers)):
            if count * math.prod(grid) > MAX_TOKENS:
                raise ValueError(
                    f"{'×'.join(map(str, grid))} is more than {MAX_TOKENS // count} tokens: choose a larger "
                    "--codec.patch_size"
                )
        self.generator = Generator(
            canvas.grid,
            canvas.token_dim,
            depth=model.depth,
            z_dim=model.z_dim,
            noise_dim=model.noise_dim,
            stem=model.stem,
            adaln_gain=model.adaln_gain,
            gate_bias=model.gate_bias,
            stem_channels=stem_channels,
            bounded=model.bounded,
            parts=patches.num_layers,
            loose_tokens=patches.path_tokens,
            **shared,
        )
        shared["layer_scale"] = model.layer_scale
        close = None
        if patches.close is not None:
            close = Discriminator(
                patches.close.patches.grid,
                patches.close.patches.token_dim,
                depth=max(1, depth - 1),  # less is to be seen: a block more was no better
                stem=model.close_stem,
                stem_channels=2 * stem_channels,
                **shared,
            )
        self.discriminator = Discriminator(
            seen.grid,
            seen.token_dim,
            depth=depth,
            stem=model.stems[1],
            frames_apart=seen is not patches,
            # What things look like is then seen close up, and half as much will do for the rest.
            stem_channels=2 * stem_channels if close is None else stem_channels,
            close=close,
            **shared,
        )

    @classmethod
    def assembled(cls, codec: Codec, generator: Generator, discriminator: Discriminator) -> "Networks":
        """From parts that exist."""
        networks = cls.__new__(cls)
        nn.Module.__init__(networks)
        networks.codec, networks.generator, networks.discriminator = codec, generator, discriminator
        return networks
