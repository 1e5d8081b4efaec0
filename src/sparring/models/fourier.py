"""How the numbers of a token are embedded: linearly, or with sines and cosines beside them."""

import math

import torch
from torch import Tensor, nn


# Tancik et al. 2020, eq. 5: without them a network is slow to learn what changes quickly from one place to the next
class FourierEmbedding(nn.Module):
    """Tokens (B, N, K) to (B, N, D): linear in x, sin(x F) and cos(x F), with F drawn once from N(0, frequency^2)."""

    frequencies: Tensor

    def __init__(self, token_dim: int, width: int, frequency: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequency * torch.randn(token_dim, width // 2))
        self.embed = nn.Linear(token_dim + width // 2 * 2, width)

    def forward(self, tokens: Tensor) -> Tensor:
        with torch.autocast(tokens.device.type, enabled=False):  # bfloat16 does not tell near points apart
            tokens = tokens.float()
            angles = tokens @ self.frequencies
            features = math.sqrt(2) * torch.cat([angles.sin(), angles.cos(), tokens], -1)
        return self.embed(features)


def embedding(token_dim: int, width: int, frequency: float) -> nn.Module:
    """Linear where the frequency is 0."""
    return FourierEmbedding(token_dim, width, frequency) if frequency else nn.Linear(token_dim, width)
