"""The generator: noise to tokens in one pass.

Shapes: B batch, N tokens of the transformer, D width.
"""

import math

import torch
from torch import Tensor, nn

from sparring.data.conditions import Condition, Unconditional
from sparring.models.attention import attention_patterns
from sparring.models.blocks import GeneratorBlock
from sparring.models.fourier import embedding
from sparring.models.initialization import initialize
from sparring.models.normalization import RMSNorm
from sparring.models.positions import Grid, Positions
from sparring.models.stem import Head, coarse_grid

CONDITION_DIM = 64


# Karras et al. 2019 (StyleGAN): a network from (z, condition) to w. Inputs are scaled to unit mean square as in
# Karras et al. 2020.
class Mapping(nn.Module):
    """z (B, z_dim) and conditions (B, ...) to w (B, width)."""

    def __init__(self, z_dim: int, condition: Condition, width: int) -> None:
        super().__init__()
        self.embedding = condition.embedding(CONDITION_DIM)
        inputs = z_dim + (CONDITION_DIM if self.embedding is not None else 0)
        self.layers = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        initialize(self.layers)

    def forward(self, z: Tensor, condition: Tensor | None) -> Tensor:
        inputs = [nn.functional.rms_norm(z, z.shape[-1:])]
        if self.embedding is not None:
            embedded = self.embedding(condition)
            inputs.append(nn.functional.rms_norm(embedded, embedded.shape[-1:]))
        return self.layers(torch.cat(inputs, -1))


class Generator(nn.Module):
    """A transformer whose input tokens are noise and whose blocks are modulated by w.

    `z` (B, z_size) is standard normal. Its first `z_dim` numbers are the global z, which the mapping network turns into
    w; the rest is the noise of each token (Lin et al. 2025, AFM), `noise_dim` numbers each. With a `stem` the
    transformer works on a grid 2^stem times coarser than the grid of the tokens it returns.
    """

    def __init__(
        self,
        grid: Grid,
        token_dim: int,
        *,
        width: int,
        depth: int,
        num_heads: int,
        condition: Condition | None = None,
        z_dim: int = 64,
        noise_dim: int = 16,
        mlp_ratio: float = 8 / 3,
        qk_norm: bool = True,
        positions: str = "learned",
        rotary: bool = True,
        adaln_gain: float = 1.0,
        gate_bias: float = 0.1,
        stem: int = 0,
        bounded: bool = False,
        fourier: float = 0.0,
    ) -> None:
        super().__init__()
        coarse = coarse_grid(grid, stem)
        self.condition = condition or Unconditional()
        self.z_dim, self.noise_dim, self.num_tokens = z_dim, noise_dim, math.prod(coarse)
        self.mapping: nn.Module = Mapping(z_dim, self.condition, width)
        self.embed = embedding(noise_dim, width, fourier) if noise_dim else None
        self.positions = Positions(coarse, width, width // num_heads, added=positions, rotary=rotary)
        self.blocks = nn.ModuleList(
            GeneratorBlock(
                width,
                num_heads,
                mlp_ratio=mlp_ratio,
                qk_norm=qk_norm,
                gain=adaln_gain,
                gate_bias=gate_bias,
                pattern=pattern,
                frames=coarse[0],
            )
            for pattern in attention_patterns(coarse, depth)
        )
        self.norm = RMSNorm(width, affine=False)
        self.scale = nn.Linear(width, width)
        self.to_token: nn.Module
        if stem:
            self.to_token = Head(grid, width, token_dim, levels=stem, channels=max(1, width // 4))
        else:
            self.to_token = nn.Linear(width, token_dim)
        self.bounded = bounded

    @property
    def z_size(self) -> int:
        return self.z_dim + self.num_tokens * self.noise_dim

    def forward(self, z: Tensor, condition: Tensor | None = None) -> Tensor:
        """z (B, z_size), conditions (B, ...) -> tokens (B, T·H·W, token_dim)."""
        global_z, noise = self.split(z)
        return self.synthesize(self.mapping(global_z, condition), noise)

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The global z (B, z_dim) and the noise (B, N, noise_dim) that make up z."""
        return z[:, : self.z_dim], z[:, self.z_dim :].unflatten(1, (self.num_tokens, self.noise_dim))

    def synthesize(self, w: Tensor, noise: Tensor) -> Tensor:
        """w (B, D), noise (B, N, noise_dim) -> tokens (B, T·H·W, token_dim)."""
        x = self.embed(noise) if self.embed is not None else w.new_zeros(*noise.shape[:2], w.shape[-1])
        x = self.positions(x)  # (B, N, D)
        for block in self.blocks:
            x = block(x, w, self.positions.rotary)
        x = self.norm(x) * (1 + self.scale(w)[:, None])
        tokens: Tensor = self.to_token(x)
        return tokens.tanh() if self.bounded else tokens
