"""The discriminator: tokens to one logit.

Shapes: B batch, N tokens of the transformer, D width.
"""

import math

import torch
from torch import Tensor, nn

from sparring.data.conditions import Condition, Unconditional
from sparring.models.attention import attention_patterns
from sparring.models.blocks import DiscriminatorBlock
from sparring.models.fourier import embedding
from sparring.models.normalization import RMSNorm
from sparring.models.positions import Grid, Positions
from sparring.models.stem import Stem, coarse_grid


class Discriminator(nn.Module):
    """A vision transformer with a learned class token. The logit is computed from the class token and all other tokens.

    The other tokens enter linearly, with weights for each position, as in the last layer of DCGAN's discriminator.
    This gives the generator a local gradient from the first step on, before attention has learned anything.

    The condition enters three times: as the class token, in the tokens' linear weights, and by the projection of the
    final class token f (Miyato & Koyama 2018, eq. 5): linear(f) + <embedding(y), f>.

    With `separate_frames` the stem convolves each frame separately, because frames at random distances share no local
    motion that a convolution over time could use.
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
        mlp_ratio: float = 8 / 3,
        qk_norm: bool = True,
        positions: str = "learned",
        rotary: bool = True,
        layer_scale: float = 1.0,
        stem: int = 0,
        separate_frames: bool = False,
        fourier: float = 0.0,
    ) -> None:
        super().__init__()
        self.condition = condition or Unconditional()
        self.embed: nn.Module
        if stem:
            frames, grid = (grid[0], (1, *grid[1:])) if separate_frames else (1, grid)
            channels = 2 * max(1, width // 4)
            self.embed = Stem(grid, token_dim, width, levels=stem, channels=channels, frames=frames)
        else:
            self.embed = embedding(token_dim, width, fourier)
        coarse = coarse_grid(grid, stem)
        self.positions = Positions(coarse, width, width // num_heads, added=positions, rotary=rotary)
        self.class_token = self.condition.tokens(width)
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(
                width,
                num_heads,
                mlp_ratio=mlp_ratio,
                qk_norm=qk_norm,
                layer_scale=layer_scale,
                pattern=pattern,
                frames=coarse[0],
            )
            for pattern in attention_patterns(coarse, depth)
        )
        self.norm = RMSNorm(width)
        self.head = nn.Linear(width, 1)
        self.token_head = nn.Linear(math.prod(coarse) * width, 1 + self.condition.size)
        self.projection = self.condition.embedding(width)
        nn.init.normal_(self.class_token.weight, std=0.5)  # type: ignore[arg-type]

    def forward(self, tokens: Tensor, condition: Tensor | None = None) -> Tensor:
        """tokens (B, T·H·W, token_dim), conditions (B, ...) -> logits (B,), float32."""
        if condition is None:
            condition = self.condition.spread(1).to(tokens.device).expand(len(tokens))
        x = self.features(tokens, condition)
        with torch.autocast(x.device.type, enabled=False):
            return self._logits(x, condition)

    def features(self, tokens: Tensor, condition: Tensor) -> Tensor:
        """tokens (B, T·H·W, token_dim), conditions (B, ...) -> final tokens (B, 1 + N, D), class token first."""
        x = self.positions(self.embed(tokens))  # (B, N, D)
        x = torch.cat([self.class_token(condition)[:, None].to(x.dtype), x], 1)  # (B, 1 + N, D)
        for block in self.blocks:
            x = block(x, self.positions.rotary)
        with torch.autocast(x.device.type, enabled=False):
            return self.norm(x.float())

    def _logits(self, x: Tensor, condition: Tensor) -> Tensor:
        """The final tokens (B, 1 + N, D) -> logits (B,)."""
        features, scores = x[:, 0], self.token_head(x[:, 1:].flatten(1))  # (B, D), (B, 1 + size)
        logits = self.head(features).squeeze(-1) + scores[:, 0]
        if self.projection is not None:
            projection = (features * self.projection(condition)).sum(-1) * features.shape[-1] ** -0.5
            logits = logits + projection + self.condition.inner(scores[:, 1:], condition)
        return logits
