"""Principal components along time: tokens of smooth series.

Shapes: B batch, C channels, T steps, K components.
"""

import torch
from torch import Tensor

from sparring.codecs.tokenizer import Tokenizer
from sparring.settings import ConfigError


class Components(Tokenizer):
    """Projects series (B, C, T) on K principal components along time: tokens (B, C, K), one for each channel.

    The projection is lossy; series made of the components are as smooth as the data.
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
    """Disables autocast: series from products in bfloat16 are less smooth than the data."""
    return torch.autocast(x.device.type, enabled=False)


# Hotelling 1933
def principal(series: Tensor, count: int) -> Tensor:
    """The first `count` principal components (K, T) along time of series (N, C, T), shared by all channels."""
    varying = series - series.mean(0)
    return axes(torch.einsum("nct,ncs->ts", varying, varying) / len(series))[:count]


def axes(covariance: Tensor) -> Tensor:
    """The eigenvectors of a covariance as orthonormal rows (D, D), in the order of falling eigenvalues."""
    _, columns = torch.linalg.eigh(covariance)
    rows = columns.flip(1).T
    return torch.where(rows.sum(1, keepdim=True) >= 0, rows, -rows)  # eigenvectors have no sign; fix one
