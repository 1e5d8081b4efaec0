"""The discriminator: tokens to one logit.

Shapes: B batch, N tokens of the transformer, D width.
"""

import math

import torch
from torch import Tensor, nn

from sparring.models.attention import reaches
from sparring.models.blocks import DiscriminatorBlock
from sparring.models.fourier import embedding
from sparring.models.normalization import RMSNorm
from sparring.models.positions import Grid, Positions
from sparring.models.stem import Stem, coarse_grid


class Discriminator(nn.Module):
    """A vision transformer with a learned class token, whose final state f is judged; so is every other token.

    The tokens' own judgement is linear with weights for each place, as the last layer of a DCGAN's discriminator: it
    tells the generator from the first step on what to do where, when attention has yet to learn where to look. The
    label enters three times: each class has its own class token, which can look for what matters to it, its own weights
    in the tokens' judgement, and the projection of f (Miyato & Koyama 2018, eq. 5): linear(f) + <embedding[y], f>.

    Where a clip's frames are `frames_apart`, any step from one to the next, a stem sees each by itself: convolutions
    over time would mix what has moved far in between.

    What is seen `close` up besides has a discriminator of its own.
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
        mlp_ratio: float = 8 / 3,
        qk_norm: bool = True,
        positions: str = "learned",
        rotary: bool = True,
        layer_scale: float = 1.0,
        stem: int = 0,
        stem_channels: int = 16,
        frames_apart: bool = False,
        fourier: float = 0.0,
        close: "Discriminator | None" = None,
    ) -> None:
        super().__init__()
        self.close = close
        self.embed: nn.Module
        if stem:
            frames, grid = (grid[0], (1, *grid[1:])) if frames_apart else (1, grid)
            self.embed = Stem(grid, token_dim, width, levels=stem, channels=stem_channels, frames=frames)
        else:
            self.embed = embedding(token_dim, width, fourier)
        coarse = coarse_grid(grid, stem)
        self.positions = Positions(coarse, width, width // num_heads, added=positions, rotary=rotary)
        self.class_tokens = nn.Embedding(max(1, num_classes), width)
        self.blocks = nn.ModuleList(
            DiscriminatorBlock(
                width,
                num_heads,
                mlp_ratio=mlp_ratio,
                qk_norm=qk_norm,
                layer_scale=layer_scale,
                reach=reach,
                frames=coarse[0],
            )
            for reach in reaches(coarse, depth)
        )
        self.norm = RMSNorm(width)
        self.head = nn.Linear(width, 1)
        self.judge_tokens = nn.Linear(math.prod(coarse) * width, 1 + num_classes)
        self.class_embedding = nn.Embedding(num_classes, width) if num_classes else None
        nn.init.normal_(self.class_tokens.weight, std=0.5)

    def forward(self, tokens: Tensor, class_labels: Tensor | None = None) -> Tensor:
        """tokens (B, all of the grid, token_dim), class_labels (B,) -> logits (B,), float32."""
        if class_labels is None:
            class_labels = torch.zeros(len(tokens), dtype=torch.long, device=tokens.device)
        x = self.features(tokens, class_labels)
        with torch.autocast(x.device.type, enabled=False):
            return self._judge(x, class_labels)

    def features(self, tokens: Tensor, class_labels: Tensor) -> Tensor:
        """tokens (B, all of the grid, token_dim), class_labels (B,) -> the final tokens, the class token first:
        (B, 1 + N, D), float32."""
        x = self.positions(self.embed(tokens))  # (B, N, D)
        x = torch.cat([self.class_tokens(class_labels)[:, None].to(x.dtype), x], 1)  # (B, 1 + N, D)
        for block in self.blocks:
            x = block(x, self.positions.rotary)
        with torch.autocast(x.device.type, enabled=False):
            return self.norm(x.float())

    def _judge(self, x: Tensor, class_labels: Tensor) -> Tensor:
        """The final tokens (B, 1 + N, D) -> logits (B,)."""
        features, judgements = x[:, 0], self.judge_tokens(x[:, 1:].flatten(1))  # (B, D), (B, 1 + classes)
        logits = self.head(features).squeeze(-1) + judgements[:, 0]
        if self.class_embedding is not None:
            projection = (features * self.class_embedding(class_labels)).sum(-1) * features.shape[-1] ** -0.5
            logits = logits + projection + judgements.gather(1, 1 + class_labels[:, None]).squeeze(1)
        return logits
