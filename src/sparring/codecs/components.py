"""Series that are smooth, as the few principal components along time that they are made of.

Shapes: B batch, C channels, T steps, K components.
"""

import torch
from torch import Tensor

from sparring.codecs.tokenizer import Tokenizer
from sparring.settings import ConfigError


class Components(Tokenizer):
    """Series (B, C, T) to tokens (B, C, K), one for each channel, and back, but for what the components leave out.

    Series that are made of them are as smooth as the data.
    """

    fit_samples = 5_000

    def __init__(self, sample_shape: tuple[int, ...], components: int) -> None:
        super().__init__()
        channels, steps = sample_shape
        if components > steps:
            raise ConfigError(
                f"--codec.components {components} is more than a series' {steps} steps: choose at most {steps}"
            )
        self.grid = (channels, 1, 1)
        self.token_dim = components
        self.register_buffer("rows", torch.zeros(components, steps))
        self.register_buffer("centre", torch.zeros(channels, steps))

    rows: Tensor
    centre: Tensor

    def fit(self, samples: Tensor) -> None:
        self.centre.copy_(samples.mean(0))
        self.rows.copy_(principal(samples.cpu().double(), self.token_dim))

    def patchify(self, samples: Tensor) -> Tensor:
        """(B, C, T) -> tokens (B, C, K)."""
        with _exactly(samples):
            return (samples - self.centre) @ self.rows.T

    def unpatchify(self, tokens: Tensor) -> Tensor:
        """Tokens (B, C, K) -> (B, C, T)."""
        with _exactly(tokens):
            return tokens @ self.rows + self.centre


def _exactly(x: Tensor) -> torch.autocast:
    """Products in bfloat16 would not be as smooth as the data."""
    return torch.autocast(x.device.type, enabled=False)


# Hotelling 1933
def principal(series: Tensor, count: int) -> Tensor:
    """The orthonormal rows (K, T) along which series (N, C, T) vary most in time, all channels together; the most
    first."""
    varying = series - series.mean(0)
    return axes(torch.einsum("nct,ncs->ts", varying, varying) / len(series))[:count]


def axes(covariance: Tensor) -> Tensor:
    """The orthonormal rows (D, D) along which what has this covariance varies, the most first."""
    _, columns = torch.linalg.eigh(covariance)
    rows = columns.flip(1).T
    return torch.where(rows.sum(1, keepdim=True) >= 0, rows, -rows)  # the sign is anyone's choice
