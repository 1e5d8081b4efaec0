"""A trained codec: samples to latent tokens and back.

Shapes: B batch, M tokens of the transformers, D their width, L latents of K numbers.
"""

import math

import torch
from torch import Tensor, nn

from sparring.codecs.components import ComponentCodec
from sparring.codecs.patch import PatchCodec
from sparring.codecs.trained import TrainedCodec, normalized
from sparring.models.attention import reaches
from sparring.models.blocks import DiscriminatorBlock
from sparring.models.initialization import initialize
from sparring.models.normalization import RMSNorm
from sparring.models.positions import Positions
from sparring.models.stem import Head, Stem, coarse_grid


# Noise on latents of fixed size instead of a KL term, as in the denoising autoencoders of Vincent et al. 2008
class AutoencoderCodec(TrainedCodec):
    """One transformer turns a sample's patches into latents, a second one writes them out again.

    Without `latents` every place of the token grid has a latent of its own: what is near stays near, and details are
    kept. With it, so many latents stand for the whole sample, far fewer numbers, which a GAN learns far more easily.

    A latent has zero mean and unit variance over its K numbers, whatever the sample, so noise of a fixed size on it is
    all that keeps neighbours alike. The GAN is trained on samples of `latent_shape`: (K, *places) or (K, L).

    With `components` it sees series not in patches of steps but as so many principal components along time of each
    channel: sines of 256 steps are 12 numbers each, and what comes back is smooth.
    """

    def __init__(
        self,
        sample_shape: tuple[int, ...],
        *,
        patch_size: int,
        patch_frames: int | None = None,
        components: int | None = None,
        latents: int | None = None,
        latent_dim: int = 16,
        width: int = 96,
        depth: int = 2,
        num_heads: int = 4,
        stem: int = 0,
        stem_channels: int = 16,
        noise: float = 0.3,
    ) -> None:
        super().__init__()
        self.pixels: PatchCodec | ComponentCodec
        if components is None:
            self.pixels = PatchCodec(sample_shape, patch_size, patch_frames=patch_frames, multiple=2**stem)
        else:
            self.pixels, self.looks_at = ComponentCodec(sample_shape, components), 5_000
        self.sample_shape, self.noise = sample_shape, noise
        fine, token_dim = self.pixels.grid, self.pixels.token_dim
        coarse = coarse_grid(fine, stem)
        self.num_tokens = math.prod(coarse)
        places = coarse[-len(sample_shape) + 1 :] if len(sample_shape) > 2 else coarse[:1]
        self.latent_shape = (latent_dim, *((latents,) if latents else places))
        self.patches = PatchCodec(self.latent_shape, 1)

        def blocks() -> nn.ModuleList:
            return nn.ModuleList(
                DiscriminatorBlock(width, num_heads, reach=reach, frames=coarse[0]) for reach in reaches(coarse, depth)
            )

        self.embed: nn.Module = nn.Linear(token_dim, width)
        self.to_patch: nn.Module = nn.Linear(width, token_dim)
        if stem:
            self.embed = Stem(fine, token_dim, width, levels=stem, channels=stem_channels)
            self.to_patch = Head(fine, width, token_dim, levels=stem, channels=stem_channels)
        # The encoder's tokens need not say where they are; a learned place would drown what little differs there.
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

    def measure(self, samples: Tensor) -> None:
        """Learns the mean and the spread of each channel: most of a picture may be background, and little differ."""
        over = [0, *range(2, samples.ndim)]
        self.mean.copy_(samples.mean(over, keepdim=True))
        std = samples.std(over, keepdim=True)
        self.std.copy_(std.clamp_min(0.1 * std.max().clamp_min(1e-3)))  # a channel may rarely change
        if isinstance(self.pixels, ComponentCodec):
            self.pixels.measure((samples - self.mean) / self.std)

    def compress(self, samples: Tensor) -> Tensor:
        """(B, *sample_shape) -> (B, *latent_shape)."""
        x = self.positions(self.embed(self.pixels.encode((samples - self.mean) / self.std)))  # (B, M, D)
        for block in self.encoder:
            x = block(x, self.positions.rotary)
        return self.patches.decode(normalized(self.to_latent(self.encoder_norm(x)).float()))

    def expand(self, latents: Tensor) -> Tensor:
        """(B, *latent_shape) -> (B, *sample_shape); latents are normalised first, as `compress` leaves them."""
        x = self.places(self.from_latent(normalized(self.patches.encode(latents))))  # (B, M, D)
        for block in self.decoder:
            x = block(x, self.places.rotary)
        x = self.to_patch(self.decoder_norm(x))
        return self.pixels.decode(x.float()) * self.std + self.mean

    def loss(self, samples: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """The squared error of what comes back through latents with noise, as a share of each channel's variance."""
        latents = self.compress(samples)
        noise = torch.randn(latents.shape, generator=generator, device=latents.device)
        error = (self.expand(latents + self.noise * noise) - samples) / self.std
        return {"loss/reconstruction": error.square().mean()}


class Mix(nn.Module):
    """Tokens (B, N, C) to other tokens (B, M, D), each linear in all of them, by way of at most 24 numbers a token.

    Queries that attend to the tokens would do the same, but first have to learn where to look.
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
