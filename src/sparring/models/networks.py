"""Both networks and their codec, built from a configuration and the shape of the data."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from sparring.codecs import Codec, make_codec
from sparring.codecs.patch import PatchCodec
from sparring.config import Config, ConfigError
from sparring.data.channels import Channels
from sparring.data.dataset import Dataset
from sparring.data.vocabulary import END, Vocabulary
from sparring.models.discriminator import Discriminator
from sparring.models.generator import Generator

MAX_TOKENS = 65_536


@dataclass(frozen=True)
class DataSpec:
    """What the networks must know of the data, stored with the weights."""

    sample_shape: tuple[int, ...]
    class_names: tuple[str, ...] = ()
    channels: Channels | None = None
    vocabulary: Vocabulary | None = None

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def to_dict(self) -> dict[str, Any]:
        return {
            "sample_shape": list(self.sample_shape),
            "class_names": list(self.class_names),
            "channels": None if self.channels is None else self.channels.to_dict(),
            "vocabulary": None if self.vocabulary is None else self.vocabulary.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataSpec":
        channels, vocabulary = values.get("channels"), values.get("vocabulary")
        shape = tuple(int(size) for size in values["sample_shape"])
        if channels is not None and shape[0] != len(channels["names"]) + bool(channels["masked"]):
            raise ValueError("as many channels as a sample has must be named")
        return cls(
            shape,
            tuple(map(str, values["class_names"])),
            None if channels is None else Channels.from_dict(channels),
            None if vocabulary is None else Vocabulary.from_dict(vocabulary),
        )

    @classmethod
    def of(cls, dataset: Dataset) -> "DataSpec":
        return cls(dataset.sample_shape, tuple(dataset.class_names), dataset.channels, dataset.vocabulary)

    def like(self, other: "DataSpec") -> bool:
        """Whether samples are of one kind; the scaling of series may differ, as it is measured."""
        facts = [
            (spec.sample_shape, spec.class_names, spec.channels and spec.channels.names, spec.vocabulary)
            for spec in (self, other)
        ]
        return facts[0] == facts[1]

    def stored(self, samples: Any) -> Tensor:
        """The inverse of `finish`: numbers of like size in every channel, or those of a text's symbols."""
        if self.vocabulary is not None:
            return self.vocabulary.encode(samples, self.sample_shape[0])
        return samples if self.channels is None else self.channels.store(samples)

    def finish(self, samples: Tensor) -> Any:
        """What the codec decoded, as a person expects it: pixels within [-1, 1], series in their own units, on the CPU;
        texts as a list of strings."""
        if self.vocabulary is not None:
            return self.vocabulary.decode(samples)
        return self.restore(samples.float().cpu())

    def restore(self, samples: Tensor) -> Tensor:
        """`finish` for what can be done in tensors: pixels and series; a text's symbols stay numbers."""
        if self.vocabulary is not None:
            return samples
        return samples.clamp(-1, 1) if self.channels is None else self.channels.restore(samples)

    def comparable(self, samples: Tensor) -> Tensor:
        """Stored samples as numbers whose differences mean something: of a text how often each symbol occurs."""
        if self.vocabulary is None:
            return samples
        counts = torch.zeros(len(samples), len(self.vocabulary))
        return counts.scatter_add_(1, samples, (samples != END).float())


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
        if spec.channels is not None and model.bounded:
            raise ConfigError("series have no bounds: set --model.bounded false (sparring.presets.series does)")
        if spec.channels is not None and spec.channels.masked:
            if config.codec.name == "whitened":
                raise ConfigError("series of unequal length cannot be whitened: set --codec.name patch")
            if config.codec.components is not None:
                raise ConfigError("--codec.components is for series of one length: drop it")
        if len(spec.sample_shape) == 2 and (config.augment.flip or config.augment.color):
            raise ConfigError("--augment.flip and --augment.color are for pictures and clips: drop them for series")
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

    def noise_codec(self, config: Config) -> PatchCodec:
        """Turns the tokens' noise into something of the samples' shape, for the optimal-transport term."""
        patches = self.codec.patches
        if config.codec.name == "layers":
            raise ConfigError(
                "--loss.transport compares a sample with its tokens' noise, which layers do not resemble: set it to 0"
            )
        if config.codec.seen_frames is not None:
            raise ConfigError(
                "--loss.transport compares whole samples with their tokens' noise: drop it or --codec.seen_frames"
            )
        factor = 2**config.model.stem
        frames = patches.patch[0] * factor if len(patches.sample_shape) == 4 else None
        multiple = 2 ** max(config.model.stems) // factor
        codec = PatchCodec(patches.sample_shape, patches.patch_size * factor, patch_frames=frames, multiple=multiple)
        if codec.token_dim != config.model.noise_dim:
            raise ConfigError(
                "--loss.transport compares a sample with its tokens' noise, which must have as many numbers: set "
                f"--model.noise_dim {codec.token_dim}"
            )
        return codec

    @classmethod
    def assembled(cls, codec: Codec, generator: Generator, discriminator: Discriminator) -> "Networks":
        """From parts that exist."""
        networks = cls.__new__(cls)
        nn.Module.__init__(networks)
        networks.codec, networks.generator, networks.discriminator = codec, generator, discriminator
        return networks
