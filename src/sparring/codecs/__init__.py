"""From data to the tokens that the GAN works on, and back."""

from sparring.codecs.autoencoder import AutoencoderCodec
from sparring.codecs.layers import LayerCodec, Layers
from sparring.codecs.patch import PatchCodec
from sparring.codecs.text import TextCodec
from sparring.codecs.trained import LatentCodec, TrainedCodec
from sparring.codecs.whitened import WhitenedCodec
from sparring.config import CodecConfig, Config, ConfigError
from sparring.data.vocabulary import Vocabulary

__all__ = [
    "AutoencoderCodec",
    "Codec",
    "LatentCodec",
    "LayerCodec",
    "PatchCodec",
    "TextCodec",
    "TrainedCodec",
    "WhitenedCodec",
    "make_codec",
]

Codec = PatchCodec | LatentCodec
"""All have `encode` (samples to tokens) and `decode` (back), in two steps each: `compress` and `expand` go between
samples and latents of `latent_shape`, on which the GAN is trained, and `patches` between latents and tokens; and
`error`, which says how far what comes back is from what went in."""


def make_codec(config: Config, sample_shape: tuple[int, ...], vocabulary: Vocabulary | None = None) -> Codec:
    c = config.codec
    if vocabulary is not None:
        return _text_codec(c, sample_shape, vocabulary)
    if c.components is not None and len(sample_shape) != 2:
        raise ConfigError("--codec.components is for series: drop it")
    multiple = 2 ** max(config.model.stems)
    if c.name == "whitened":
        if len(sample_shape) != 2:
            raise ConfigError("--codec.name whitened is for series: set patch or autoencoder")
        return WhitenedCodec(sample_shape, c.patch_size, c.whiten, multiple=multiple)
    if c.name == "layers":
        if len(sample_shape) != 4:
            raise ConfigError("--codec.name layers is for films: set patch or autoencoder")
        close = 2**config.model.close_stem
        return LayerCodec(
            Layers(
                sample_shape, c.patch_size, c.patch_frames or 1, c.layers, multiple, c.seen_frames, c.glimpses, close
            )
        )
    frames = c.patch_frames or (1 if len(sample_shape) == 4 else None)
    if c.name == "patch":
        return PatchCodec(sample_shape, c.patch_size, c.overlap, frames, multiple, c.seen_frames)
    return AutoencoderCodec(
        sample_shape,
        patch_size=c.patch_size,
        patch_frames=frames,
        components=c.components,
        latents=c.latents,
        latent_dim=c.latent_dim,
        width=c.width,
        depth=c.depth,
        num_heads=c.num_heads,
        stem=c.stem,
        stem_channels=c.stem_channels,
        noise=c.noise,
    )


def _text_codec(c: CodecConfig, sample_shape: tuple[int, ...], vocabulary: Vocabulary) -> TrainedCodec:
    if c.name in ("patch", "whitened", "layers"):
        raise ConfigError("texts need a trained codec: set --codec.name autoencoder (sparring.presets.texts does)")
    for name in ("patch_size", "patch_frames", "components", "stem", "stem_channels"):
        if getattr(c, name) != getattr(CodecConfig, name):
            raise ConfigError(f"--codec.{name} has no effect on texts: drop it")
    return TextCodec(
        sample_shape,
        len(vocabulary),
        latents=c.latents or 4,
        latent_dim=c.latent_dim,
        width=c.width,
        depth=c.depth,
        num_heads=c.num_heads,
        noise=c.noise,
    )
