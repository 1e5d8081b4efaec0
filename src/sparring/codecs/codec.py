"""The abstract codec: encodes samples to the latents on which the GAN is trained, and decodes them."""

from abc import ABC, abstractmethod
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from sparring.codecs.tokenizer import Tokenizer
from sparring.models.generator import Generator


class Codec(nn.Module, ABC):
    """Encodes samples of `sample_shape` to latents of `latent_shape`; `tokenizer` cuts latents into tokens.

    A codec may need statistics of the data (`fit`) and training (`loss`), both before the GAN's first step.
    """

    sample_shape: tuple[int, ...]
    latent_shape: tuple[int, ...]
    tokenizer: Tokenizer
    bounded: bool = False
    """Whether latents lie in [-1, 1], so that the generator ends in tanh."""
    identity: bool = False
    """Whether `encode` returns the samples unchanged."""
    learns: bool = False
    """Whether the codec has a `loss` and is trained before the GAN."""
    fit_samples: int = 0
    """Largest number of samples passed to `fit`; 0: `fit` is not called."""

    @abstractmethod
    def encode(self, samples: Tensor) -> Tensor:
        """(B, *sample_shape) -> (B, *latent_shape)."""

    @abstractmethod
    def decode(self, latents: Tensor) -> Tensor:
        """(B, *latent_shape) -> (B, *sample_shape)."""

    def fit(self, samples: Tensor) -> None:
        """Computes statistics of samples (B, *sample_shape) of the data."""

    def loss(self, samples: Tensor, generator: Any) -> dict[str, Tensor]:
        """The loss terms by the names under which they are logged; `generator` draws the noise."""
        raise NotImplementedError(f"{type(self).__name__} does not learn")

    def error(self, samples: Tensor, decoded: Tensor) -> float:
        """The reconstruction error: by default the mean squared error."""
        return (decoded - samples).square().mean().item()

    def unpatchify(self, tokens: Tensor) -> Tensor:
        """The generator's tokens (B, N, token_dim) -> latents (B, *latent_shape)."""
        return self.tokenizer.unpatchify(tokens)

    def make_generator(self, **settings: Any) -> Generator:
        """A generator of this codec's tokens."""
        return Generator(self.tokenizer.grid, self.tokenizer.token_dim, bounded=self.bounded, **settings)


def normalized(latents: Tensor) -> Tensor:
    """Latents (B, L, K), each with zero mean and unit variance over its K numbers."""
    return F.layer_norm(latents, latents.shape[-1:])
