"""From samples to the tokens of a transformer and back: something every codec has."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from sparring.models.positions import Grid


class Tokenizer(nn.Module, ABC):
    """Cuts samples, or a codec's latents, into tokens on a grid (T, H, W).

    `token_dim` is the size of a token. Attributes hold no trained weights.
    """

    grid: Grid
    token_dim: int
    fit_samples: int = 0
    """Samples that `fit` is given, at most; 0: it needs none."""

    @abstractmethod
    def patchify(self, samples: Tensor) -> Tensor:
        """(B, *sample_shape) -> tokens (B, N, token_dim), N = T·H·W."""

    @abstractmethod
    def unpatchify(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, token_dim) -> (B, *sample_shape)."""

    def fit(self, samples: Tensor) -> None:
        """Takes the statistics it needs from some of the data; most need none."""
