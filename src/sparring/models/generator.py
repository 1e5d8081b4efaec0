"""The generator: noise to tokens in one pass.

Shapes: B batch, N tokens of the transformer, D width.
"""

import math

import torch
from torch import Tensor, nn

from sparring.models.attention import reaches
from sparring.models.blocks import GeneratorBlock
from sparring.models.fourier import embedding
from sparring.models.initialization import initialize
from sparring.models.normalization import RMSNorm
from sparring.models.positions import Grid, Positions
from sparring.models.stem import Head, coarse_grid


# Karras et al. 2019 (StyleGAN): a network from (z, class) to w. Inputs are scaled to unit mean square as in
# Karras et al. 2020.
class Mapping(nn.Module):
    """z (B, parts · z_dim) and class labels (B,) to w (B, parts · width)."""

    def __init__(self, z_dim: int, num_classes: int, width: int, parts: int = 1) -> None:
        super().__init__()
        self.parts = parts
        self.class_embedding = nn.Embedding(num_classes, CLASS_DIM) if num_classes else None
        self.layers = nn.Sequential(
            nn.Linear(z_dim + (CLASS_DIM if num_classes else 0), width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
        )
        initialize(self.layers)

    def forward(self, z: Tensor, class_labels: Tensor | None) -> Tensor:
        z = z.unflatten(1, (self.parts, -1)).flatten(0, 1)  # (B · parts, z_dim)
        inputs = [nn.functional.rms_norm(z, z.shape[-1:])]
        if self.class_embedding is not None:
            embedded = self.class_embedding(class_labels).repeat_interleave(self.parts, 0)
            inputs.append(nn.functional.rms_norm(embedded, embedded.shape[-1:]))
        return self.layers(torch.cat(inputs, -1)).unflatten(0, (-1, self.parts)).flatten(1)


CLASS_DIM = 64
LOOSE_WIDTH = 256
"""Of the network from w to loose tokens: where a path bounces is a matter of thresholds, however narrow w is."""


class Generator(nn.Module):
    """A transformer whose input tokens are noise and whose blocks are steered by w.

    `z` is one vector a sample, (B, z_size), standard normal: its first `z_dim` numbers are the global z that the
    mapping network turns into w, the rest is the noise of each token (Lin et al. 2025, AFM), `noise_dim` numbers each.
    With a `stem` the transformer works on a grid 2^stem coarser than that of the tokens it returns.

    A sample may have `parts` that have nothing to do with one another but their class (the layers of a film): each is
    made by itself, of its own z, and has `loose_tokens` behind those of the grid, which are made of its w alone.
    """

    def __init__(
        self,
        grid: Grid,
        token_dim: int,
        *,
        width: int,
        depth: int,
        num_heads: int,
        num_classes: int = 0,
        z_dim: int = 64,
        noise_dim: int = 16,
        mlp_ratio: float = 8 / 3,
        qk_norm: bool = True,
        positions: str = "learned",
        rotary: bool = True,
        adaln_gain: float = 1.0,
        gate_bias: float = 0.1,
        stem: int = 0,
        stem_channels: int = 8,
        bounded: bool = False,
        fourier: float = 0.0,
        parts: int = 1,
        loose_tokens: int = 0,
    ) -> None:
        super().__init__()
        coarse = coarse_grid(grid, stem)
        self.z_dim, self.noise_dim, self.num_tokens = parts * z_dim, noise_dim, parts * math.prod(coarse)
        self.num_classes, self.parts = num_classes, parts
        self.mapping = Mapping(z_dim, num_classes, width, parts)
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
                reach=reach,
                frames=coarse[0],
            )
            for reach in reaches(coarse, depth)
        )
        self.norm = RMSNorm(width, affine=False)
        self.scale = nn.Linear(width, width)
        self.to_token: nn.Module
        if stem:
            self.to_token = Head(grid, width, token_dim, levels=stem, channels=stem_channels)
        else:
            self.to_token = nn.Linear(width, token_dim)
        self.to_loose = None
        if loose_tokens:
            self.to_loose = nn.Sequential(
                nn.Linear(width, LOOSE_WIDTH), nn.SiLU(), nn.Linear(LOOSE_WIDTH, LOOSE_WIDTH), nn.SiLU(),
                nn.Linear(LOOSE_WIDTH, loose_tokens * token_dim),
            )  # fmt: skip
            initialize(self.to_loose)
        self.bounded = bounded

    @property
    def z_size(self) -> int:
        return self.z_dim + self.num_tokens * self.noise_dim

    def forward(self, z: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """z (B, z_size), class_labels (B,) -> tokens (B, all there are, token_dim), those of one part after another."""
        global_z, noise = self.split(z)
        return self.synthesize(self.mapping(global_z, class_labels), noise)

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The global z (B, z_dim) and the noise (B, N, noise_dim) that make up z."""
        return z[:, : self.z_dim], z[:, self.z_dim :].unflatten(1, (self.num_tokens, self.noise_dim))

    def synthesize(self, w: Tensor, noise: Tensor) -> Tensor:
        """w (B, parts · D), noise (B, parts · N, noise_dim) -> tokens (B, all there are, token_dim)."""
        batch = w.shape[0]
        w, noise = w.unflatten(1, (self.parts, -1)).flatten(0, 1), noise.unflatten(1, (self.parts, -1)).flatten(0, 1)
        x = self.embed(noise) if self.embed is not None else w.new_zeros(*noise.shape[:2], w.shape[-1])
        x = self.positions(x)  # (B, N, D)
        for block in self.blocks:
            x = block(x, w, self.positions.rotary)
        x = self.norm(x) * (1 + self.scale(w)[:, None])
        tokens: Tensor = self.to_token(x)
        if self.to_loose is not None:
            tokens = torch.cat([tokens, self.to_loose(w).unflatten(1, (-1, tokens.shape[-1]))], 1)
        tokens = tokens.reshape(batch, -1, tokens.shape[-1])
        return tokens.tanh() if self.bounded else tokens
