"""A trained autoencoder of samples with one or more axes.

Shapes: B batch, M tokens of the transformers, D their width, L latents of K numbers.
"""

import math

import torch
from torch import Tensor, nn

from sparring.codecs.codec import Codec, normalized
from sparring.codecs.patch import Patches
from sparring.codecs.tokenizer import Tokenizer
from sparring.models.attention import attention_patterns
from sparring.models.blocks import DiscriminatorBlock
from sparring.models.initialization import initialize
from sparring.models.normalization import RMSNorm
from sparring.models.positions import Positions
from sparring.models.stem import Head, Stem, coarse_grid

NUM_HEADS = 4
FIT_SAMPLES = 256


# Noise on latents of fixed size instead of a KL term, as in the denoising autoencoders of Vincent et al. 2008
class AutoencoderCodec(Codec):
    """A transformer encodes a sample's tokens to latents, and a second one decodes them.

    `pixels` cuts samples into tokens: patches, or the principal components of smooth series.

    Without `latents` each position of the token grid has its own latent, which preserves neighbourhoods and details.
    With it, that many latents encode the whole sample; a GAN learns these few numbers much faster.

    Each latent has zero mean and unit variance over its K numbers, so noise of fixed size is enough to make the latent
    space smooth. `latent_shape` is (K, *grid) or (K, L).
    """

    learns = True

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        pixels: Tokenizer,
        *,
        latents: int | None = None,
        latent_dim: int = 16,
        width: int = 96,
        depth: int = 2,
        stem: int = 0,
        noise: float = 0.3,
    ) -> None:
        super().__init__()
        self.pixels, self.fit_samples = pixels, max(FIT_SAMPLES, pixels.fit_samples)
        self.sample_shape, self.noise = sample_shape, noise
        fine, token_dim, num_heads, stem_channels = pixels.grid, pixels.token_dim, NUM_HEADS, max(1, width // 3)
        coarse = coarse_grid(fine, stem)
        self.num_tokens = math.prod(coarse)
        places = coarse[-len(sample_shape) + 1 :] if len(sample_shape) > 2 else coarse[:1]
        self.latent_shape = (latent_dim, *((latents,) if latents else places))
        self.tokenizer = Patches(self.latent_shape, 1)

        def blocks() -> nn.ModuleList:
            return nn.ModuleList(
                DiscriminatorBlock(width, num_heads, pattern=pattern, frames=coarse[0])
                for pattern in attention_patterns(coarse, depth)
            )

        self.embed: nn.Module = nn.Linear(token_dim, width)
        self.to_patch: nn.Module = nn.Linear(width, token_dim)
        if stem:
            self.embed = Stem(fine, token_dim, width, levels=stem, channels=stem_channels)
            self.to_patch = Head(fine, width, token_dim, levels=stem, channels=stem_channels)
        # No position embeddings in the encoder: they would be much larger than the differences between samples.
        self.positions = Positions(coarse, width, width // num_heads, added="none", rotary=True)
        self.encoder = blocks()
        self.encoder_norm = RMSNorm(width)
        self.to_latent: nn.Module
        self.from_latent: nn.Module
        if latents:
            self.to_latent = Mix(self.num_tokens, width, latents, latent_dim)
            self.from_latent = Mix(latents, latent_dim, self.num_tokens, width)
        else:
            self.to_latent = nn.Linear(width, latent_dim)
            self.from_latent = nn.Linear(latent_dim, width)
        self.places = Positions(coarse, width, width // num_heads, added="learned", rotary=True)
        self.decoder = blocks()
        self.decoder_norm = RMSNorm(width)
        initialize(self.to_latent)
        initialize(self.from_latent)
        channels = (1, sample_shape[0], *(1 for _ in sample_shape[1:]))
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    mean: Tensor
    std: Tensor

    def fit(self, samples: Tensor) -> None:
        """Computes each channel's mean and standard deviation, then fits `pixels` to the standardised samples."""
        over = [0, *range(2, samples.ndim)]
        self.mean.copy_(samples.mean(over, keepdim=True))
        std = samples.std(over, keepdim=True)
        self.std.copy_(std.clamp_min(0.1 * std.max().clamp_min(1e-3)))  # a channel may be almost constant
        self.pixels.fit((samples - self.mean) / self.std)

    def encode(self, samples: Tensor) -> Tensor:
        """(B, *sample_shape) -> (B, *latent_shape)."""
        x = self.positions(self.embed(self.pixels.patchify((samples - self.mean) / self.std)))  # (B, M, D)
        for block in self.encoder:
            x = block(x, self.positions.rotary)
        return self.tokenizer.unpatchify(normalized(self.to_latent(self.encoder_norm(x)).float()))

    def decode(self, latents: Tensor) -> Tensor:
        """(B, *latent_shape) -> (B, *sample_shape); latents are normalised first, as those of `encode` are."""
        x = self.places(self.from_latent(normalized(self.tokenizer.patchify(latents))))  # (B, M, D)
        for block in self.decoder:
            x = block(x, self.places.rotary)
        x = self.to_patch(self.decoder_norm(x))
        return self.pixels.unpatchify(x.float()) * self.std + self.mean

    def loss(self, samples: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The squared reconstruction error from noisy latents, divided by each channel's variance."""
        latents = self.encode(samples)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        error = (self.decode(latents + self.noise * noise) - samples) / self.std
        return {"loss/reconstruction": error.square().mean()}


class Mix(nn.Module):
    """Tokens (B, N, C) to tokens (B, M, D), each linear in all inputs, through at most 24 numbers a token.

    Attention with learned queries could do the same, but it learns slower.
    """

    def __init__(self, num_in: int, dim_in: int, num_out: int, dim_out: int) -> None:
        super().__init__()
        small_in, small_out = min(dim_in, 24), min(dim_out, 24)
        self.shape = num_out, small_out
        self.narrow = nn.Linear(dim_in, small_in)
        self.mix = nn.Linear(num_in * small_in, num_out * small_out)
        self.widen = nn.Linear(small_out, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.widen(self.mix(self.narrow(x).flatten(1)).unflatten(1, self.shape))
