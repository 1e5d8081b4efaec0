"""Token embeddings: linear, or with Fourier features."""

import math

import torch
from torch import Tensor, nn


# Tancik et al. 2020, eq. 5: without Fourier features a network learns high frequencies slowly
class FourierEmbedding(nn.Module):
    """Tokens (B, N, K) to (B, N, D): linear in x, sin(x F) and cos(x F), with F drawn once from N(0, frequency^2)."""

    frequencies: Tensor

    def __init__(self, token_dim: int, width: int, frequency: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequency * torch.randn(token_dim, width // 2))
        self.embed = nn.Linear(token_dim + width // 2 * 2, width)

    def forward(self, tokens: Tensor) -> Tensor:
        with torch.autocast(tokens.device.type, enabled=False):  # bfloat16 cannot distinguish close points
            tokens = tokens.float()
            angles = tokens @ self.frequencies
            features = math.sqrt(2) * torch.cat([angles.sin(), angles.cos(), tokens], -1)
        return self.embed(features)


def embedding(token_dim: int, width: int, frequency: float) -> nn.Module:
    """A linear embedding where the frequency is 0, else Fourier features."""
    return FourierEmbedding(token_dim, width, frequency) if frequency else nn.Linear(token_dim, width)
