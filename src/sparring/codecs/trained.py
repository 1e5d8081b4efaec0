"""What all codecs share that know something of the data: measured, or learnt from a loss of their own before the GAN
learns."""

from abc import abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.codecs.patch import PatchCodec


class LatentCodec(nn.Module):
    """Samples to latents of `latent_shape`, on which the GAN is trained, by `compress`, and back by `expand`; `patches`
    goes between latents and tokens."""

    latent_shape: tuple[int, ...]
    patches: PatchCodec
    looks_at: int = 256
    """Samples that `measure` is shown, at most."""

    def measure(self, samples: Tensor) -> None:
        """Takes down what must be known of the data before the first step, from some of it; usually nothing."""

    @abstractmethod
    def compress(self, samples: Tensor) -> Tensor:
        """(B, *sample_shape) -> (B, *latent_shape)."""

    @abstractmethod
    def expand(self, latents: Tensor) -> Tensor:
        """(B, *latent_shape) -> (B, *sample_shape)."""

    def error(self, samples: Tensor, back: Tensor) -> float:
        """How far what comes back is from what went in: the mean squared error, where there is no better measure."""
        return (back - samples).square().mean().item()

    def encode(self, samples: Tensor) -> Tensor:
        """(B, *sample_shape) -> tokens (B, L, K)."""
        return self.patches.encode(self.compress(samples))

    def decode(self, tokens: Tensor) -> Tensor:
        """Tokens (B, L, K) -> (B, *sample_shape)."""
        return self.expand(self.patches.decode(tokens))


class TrainedCodec(LatentCodec):
    """A codec that learns."""

    @abstractmethod
    def loss(self, samples: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
        """What it is trained on: the terms, to be summed, by the names they are logged under."""


def normalized(latents: Tensor) -> Tensor:
    """Zero mean and unit variance over the K numbers of each latent, (B, L, K)."""
    return F.layer_norm(latents, latents.shape[-1:])
