"""The abstract tokenizer, which every codec has: cuts samples into tokens of a transformer and puts them together."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from sparring.models.positions import Grid


class Tokenizer(nn.Module, ABC):
    """Cuts samples, or a codec's latents, into tokens of `token_dim` numbers on a grid (T, H, W), without weights."""

    grid: Grid
    token_dim: int
    fit_samples: int = 0
    """Largest number of samples passed to `fit`; 0: `fit` is not called."""

    @abstractmethod
    def patchify(self, samples: Tensor) -> Tensor:
        """(B, *sample_shape) -> tokens (B, N, token_dim), N = T·H·W."""

    @abstractmethod
    def unpatchify(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, token_dim) -> (B, *sample_shape)."""

    def fit(self, samples: Tensor) -> None:
        """Computes statistics of samples (B, *sample_shape) of the data; most tokenizers need none."""
