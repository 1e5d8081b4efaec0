"""Attention: the only file that computes it.

Shapes: B batch, H heads, N tokens, K keys, D width of one head.
"""

import contextvars
import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.models.initialization import initialize
from sparring.models.normalization import RMSNorm
from sparring.models.positions import rotate

Backend = Literal["auto", "math", "fused"]

_backend: contextvars.ContextVar[Backend] = contextvars.ContextVar("attention_backend", default="auto")

# On a CPU the fused kernel loses to two plain matrix products while the score matrix fits the cache.
FEW_TOKENS = 256


@contextmanager
def attention_backend(backend: Backend) -> Iterator[None]:
    """Chooses how attention is computed within the block.

    "math" is the formula written out, which can be differentiated twice (exact R1/R2); "fused" is PyTorch's kernel,
    which can not; "auto" takes the quicker one for the device and the number of tokens.
    """
    token = _backend.set(backend)
    try:
        yield
    finally:
        _backend.reset(token)


# Vaswani et al. 2017, eq. 1
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(Q K^T / sqrt(d_k)) V over the last two dimensions, (..., N, D), (..., K, D), (..., K, D) -> (..., N, D).

    `mask` is boolean, (..., N, K), True where a query may look.
    """
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ value


def _attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    backend = _backend.get()
    if backend == "auto":
        backend = "math" if query.device.type == "cpu" and query.shape[-2] <= FEW_TOKENS else "fused"
    if backend == "math":
        return scaled_dot_product_attention(query, key, value)
    return F.scaled_dot_product_attention(query, key, value)


# Vaswani et al. 2017, section 3.2.2; QK-norm: Dehghani et al. 2023 (ViT-22B), with RMSNorm per head
class MultiHeadAttention(nn.Module):
    """Self-attention with `num_heads` heads, RMS-normalised queries and keys, and rotary positions."""

    def __init__(self, width: int, num_heads: int, *, qk_norm: bool = True) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        head_width = width // num_heads
        self.query_norm = RMSNorm(head_width) if qk_norm else nn.Identity()
        self.key_norm = RMSNorm(head_width) if qk_norm else nn.Identity()
        initialize(self)
        for part in self.qkv.weight.data.view(3, width, width):  # three maps side by side, not one wide one
            nn.init.xavier_uniform_(part)

    def forward(self, x: Tensor, rotary: Tensor | None) -> Tensor:
        """x (B, N, width), rotary (2, N, D / 2) as `positions.RotaryPositions` makes it -> (B, N, width)."""
        batch, num_tokens, width = x.shape
        qkv = self.qkv(x).view(batch, num_tokens, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # 3 × (B, H, N, D)
        query, key = self.query_norm(query), self.key_norm(key)
        if rotary is not None:
            query, key = rotate(query, rotary), rotate(key, rotary)
        x = _attend(query, key, value.to(query.dtype))
        return self.project(x.transpose(1, 2).reshape(batch, num_tokens, width))
