"""The transformer blocks of both networks. Shapes: B batch, N tokens, D width."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.models.attention import AttentionPattern, KVCache, MultiHeadAttention
from sparring.models.initialization import initialize
from sparring.models.normalization import RMSNorm


# Shazeer 2020, eq. 6
class SwiGLU(nn.Module):
    """(silu(x W) * x V) W2; `ratio` is the hidden width divided by the width."""

    def __init__(self, width: int, ratio: float) -> None:
        super().__init__()
        hidden = max(8, round(width * ratio / 8) * 8)
        self.expand = nn.Linear(width, 2 * hidden)
        self.project = nn.Linear(hidden, width)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.expand(x).chunk(2, -1)
        return self.project(F.silu(gate) * value)


# Peebles & Xie 2023 (DiT, adaLN), with RMSNorm, and scale and gate but no shift (Hyun et al. 2025, GAT)
class GeneratorBlock(nn.Module):
    """x += gate * attention(norm(x) * (1 + scale)), then the same for the MLP; scales and gates are linear in w."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        mlp_ratio: float = 8 / 3,
        qk_norm: bool = True,
        gain: float = 1.0,
        gate_bias: float = 0.1,
        pattern: AttentionPattern = "all",
        frames: int = 1,
    ) -> None:
        super().__init__()
        self.norm = RMSNorm(width, affine=False)
        self.attention = MultiHeadAttention(width, num_heads, qk_norm=qk_norm, pattern=pattern, frames=frames)
        self.mlp = SwiGLU(width, mlp_ratio)
        self.modulation = nn.Linear(width, 4 * width)
        nn.init.xavier_uniform_(self.modulation.weight, gain)
        bias = torch.tensor([0.0, gate_bias, 0.0, gate_bias]).repeat_interleave(width)
        self.modulation.bias = nn.Parameter(bias)

    def forward(self, x: Tensor, w: Tensor, rotary: Tensor | None) -> Tensor:
        """x (B, N, D), w (B, D) -> (B, N, D)."""
        scale_a, gate_a, scale_m, gate_m = self.modulation(w)[:, None].chunk(4, -1)  # each (B, 1, D)
        x = x + gate_a * self.attention(self.norm(x) * (1 + scale_a), rotary)
        return x + gate_m * self.mlp(self.norm(x) * (1 + scale_m))


# Dosovitskiy et al. 2021 (ViT); LayerScale: Touvron et al. 2021 (CaiT), eq. 4
class DiscriminatorBlock(nn.Module):
    """x += scale * attention(norm(x)), then the same for the MLP; the scale is a learned vector."""

    def __init__(
        self,
        width: int,
        num_heads: int,
        *,
        mlp_ratio: float = 8 / 3,
        qk_norm: bool = True,
        layer_scale: float = 1.0,
        pattern: AttentionPattern = "all",
        frames: int = 1,
    ) -> None:
        super().__init__()
        self.attention_norm = RMSNorm(width)
        self.attention = MultiHeadAttention(width, num_heads, qk_norm=qk_norm, pattern=pattern, frames=frames)
        self.attention_scale = nn.Parameter(torch.full((width,), layer_scale))
        self.mlp_norm = RMSNorm(width)
        self.mlp = SwiGLU(width, mlp_ratio)
        self.mlp_scale = nn.Parameter(torch.full((width,), layer_scale))

    def forward(self, x: Tensor, rotary: Tensor | None, cache: KVCache | None = None) -> Tensor:
        x = x + self.attention_scale * self.attention(self.attention_norm(x), rotary, cache)
        return x + self.mlp_scale * self.mlp(self.mlp_norm(x))
