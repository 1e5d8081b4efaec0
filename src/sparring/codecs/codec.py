"""A codec: samples to the latents that the GAN is trained on, and back."""

from abc import ABC, abstractmethod
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from sparring.codecs.tokenizer import Tokenizer
from sparring.models.generator import Generator


class Codec(nn.Module, ABC):
    """Encodes samples of `sample_shape` to latents of `latent_shape`; `tokenizer` cuts latents into tokens.

    A codec may need statistics (`fit`) and may learn (`loss`). Both happen before the GAN's first step.
    """

    sample_shape: tuple[int, ...]
    latent_shape: tuple[int, ...]
    tokenizer: Tokenizer
    bounded: bool = False
    """Whether latents lie in [-1, 1]: the generator then ends in tanh."""
    identity: bool = False
    """Whether latents are the samples themselves."""
    learns: bool = False
    """Whether it has a `loss` to be trained on first."""
    fit_samples: int = 0
    """Samples that `fit` is given, at most; 0: it needs none."""

    @abstractmethod
    def encode(self, samples: Tensor) -> Tensor:
        """(B, *sample_shape) -> (B, *latent_shape)."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """(B, *latent_shape) -> (B, *sample_shape)."""

    def fit(self, samples: Tensor) -> None:
        """Takes statistics of some of the data (B, *sample_shape)."""

    def loss(self, samples: Tensor, generator: Any) -> dict[str, Tensor]:
        """The terms to minimise, to be summed, by the names they are logged under; `generator` draws the noise."""
        raise NotImplementedError(f"{type(self).__name__} does not learn")

    def error(self, samples: Tensor, decoded: Tensor) -> float:
        """The mean squared error of decoded samples, or another measure where that has no meaning."""
        return (decoded - samples).square().mean().item()

    def unpatchify(self, tokens: Tensor) -> Tensor:
        """The generator's tokens (B, N, token_dim) -> latents (B, *latent_shape)."""
        return self.tokenizer.unpatchify(tokens)

    def make_generator(self, **settings: Any) -> Generator:
        """The generator of this codec's tokens."""
        return Generator(self.tokenizer.grid, self.tokenizer.token_dim, bounded=self.bounded, **settings)


def normalized(latents: Tensor) -> Tensor:
    """Zero mean and unit variance over the K numbers of each latent, (B, L, K)."""
    return F.layer_norm(latents, latents.shape[-1:])
