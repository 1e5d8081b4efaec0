"""From data to the tokens that the GAN works on, and back."""

from sparring.codecs.autoencoder import AutoencoderCodec
from sparring.codecs.patch import PatchCodec
from sparring.config import Config

__all__ = ["AutoencoderCodec", "Codec", "PatchCodec", "make_codec"]

Codec = PatchCodec | AutoencoderCodec
"""Both have `encode` (samples to tokens) and `decode` (back), in two steps each: `compress` and `expand` go between
samples and latents of `latent_shape`, on which the GAN is trained, and `patches` between latents and tokens."""


def make_codec(config: Config, sample_shape: tuple[int, ...]) -> Codec:
    c = config.codec
    frames = c.patch_frames or (1 if len(sample_shape) == 4 else None)
    if c.name == "patch":
        return PatchCodec(sample_shape, c.patch_size, c.overlap, frames)
    return AutoencoderCodec(
        sample_shape,
        patch_size=c.patch_size,
        patch_frames=frames,
        latents=c.latents,
        latent_dim=c.latent_dim,
        width=c.width,
        depth=c.depth,
        num_heads=c.num_heads,
        stem=c.stem,
        stem_channels=c.stem_channels,
        noise=c.noise,
    )
