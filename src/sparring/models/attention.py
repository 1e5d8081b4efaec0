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
from sparring.models.normalization import RMSNorm, rms_normalized
from sparring.models.positions import Grid, rotate

Backend = Literal["auto", "math", "fused"]

_backend: contextvars.ContextVar[Backend] = contextvars.ContextVar("attention_backend", default="auto")

AttentionPattern = Literal["all", "space", "time", "causal"]
"""A token attends to all tokens, to those of its frame, to those at its position in all frames, or to earlier ones."""

FULL_ATTENTION_TOKENS = 1024
"""Largest number of a clip's tokens with full attention. Beyond it, blocks alternate between space and time.

A divided block of width 64 is 2 times as fast as a full one at 512 tokens, 4.3 times at 2,048 and 6 times at 4,096
(forward and backward, one CPU core)."""

MATH_TOKENS = {torch.float32: 64, torch.bfloat16: 1024}
"""Largest number of tokens for which the plain formula is faster than the fused kernel on a CPU, forward and backward.

In bfloat16 the fused kernel takes 5 times as long at 64 tokens and 1.7 times at 512; in float32 it is faster from 128
tokens on (docs/log.md, 2026-11-24)."""


@contextmanager
def attention_backend(backend: Backend) -> Iterator[None]:
    """Chooses how attention is computed inside a `with` block.

    "math" is the plain formula, which can be differentiated twice (exact R1/R2). "fused" is PyTorch's kernel, which
    cannot. "auto" takes the faster one for the device and the number of tokens.
    """
    token = _backend.set(backend)
    try:
        yield
    finally:
        _backend.reset(token)


# Vaswani et al. 2017, eq. 1
def scaled_dot_product_attention(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None) -> Tensor:
    """softmax(Q K^T / sqrt(d_k)) V over the last two dimensions, (..., N, D), (..., K, D), (..., K, D) -> (..., N, D).

    `mask` is boolean, (..., N, K), True where a query may attend.
    """
    scores = (query / math.sqrt(query.shape[-1])) @ key.transpose(-2, -1)  # Q is smaller than the scores
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return scores.softmax(-1) @ value


def _attend(query: Tensor, key: Tensor, value: Tensor, causal: bool = False) -> Tensor:
    backend = _backend.get()
    if backend == "auto":
        few = query.device.type == "cpu" and query.shape[-2] <= MATH_TOKENS.get(query.dtype, 0)
        backend = "math" if few else "fused"
    if backend == "math":
        mask = None
        if causal:
            mask = torch.ones(query.shape[-2], key.shape[-2], dtype=torch.bool, device=query.device).tril()
        return scaled_dot_product_attention(query, key, value, mask)
    return F.scaled_dot_product_attention(query, key, value, is_causal=causal)


# Bertasius et al. 2021 (TimeSformer), "divided space-time attention", a block for each
def attention_patterns(grid: Grid, depth: int) -> list[AttentionPattern]:
    """The attention pattern of each of `depth` blocks on a token grid."""
    t, h, w = grid
    if t == 1 or h * w == 1 or t * h * w <= FULL_ATTENTION_TOKENS or depth == 1:
        return ["all"] * depth
    return ["space" if block % 2 == 0 else "time" for block in range(depth)]


def _attend_along(query: Tensor, key: Tensor, value: Tensor, frames: int, pattern: AttentionPattern) -> Tensor:
    """Attention within each frame ("space") or each position ("time"), (B, H, E + T·P, D) -> the same shape.

    The first E tokens have no position (a class token): they attend to all tokens, and all tokens attend to them.
    """
    extra = query.shape[-2] % frames
    front = _attend(query[..., :extra, :], key, value) if extra else query[..., :0, :]

    def groups(x: Tensor) -> Tensor:
        x = x[..., extra:, :].unflatten(-2, (frames, -1))  # (B, H, T, P, D)
        return x if pattern == "space" else x.transpose(-3, -2)

    def with_front(x: Tensor) -> Tensor:
        grouped = groups(x)
        shared = x[..., None, :extra, :].expand(*grouped.shape[:3], extra, -1)
        return torch.cat([shared, grouped], -2) if extra else grouped

    rest = _attend(groups(query), with_front(key), with_front(value))
    if pattern == "time":
        rest = rest.transpose(-3, -2)
    return torch.cat([front, rest.flatten(-3, -2)], -2)


class KVCache:
    """Keys and values of a causal block's earlier tokens, so that only the next token is computed."""

    def __init__(self) -> None:
        self.key: Tensor | None = None
        self.value: Tensor | None = None

    def extend(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """All keys and values up to now, (B, H, K, D) each."""
        if self.key is not None and self.value is not None:
            key, value = torch.cat([self.key, key], -2), torch.cat([self.value, value], -2)
        self.key, self.value = key, value
        return key, value


# Vaswani et al. 2017, section 3.2.2; QK-norm: Dehghani et al. 2023 (ViT-22B), with RMSNorm per head
class MultiHeadAttention(nn.Module):
    """Self-attention with `num_heads` heads, RMS-normalised queries and keys, and rotary positions.

    The patterns "space" and "time" need the number of `frames`; tokens without a position come first.
    """

    def __init__(
        self, width: int, num_heads: int, *, qk_norm: bool = True, pattern: AttentionPattern = "all", frames: int = 1
    ) -> None:
        super().__init__()
        self.num_heads, self.pattern, self.frames = num_heads, pattern, frames
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        head_width = width // num_heads
        self.qk_norm = qk_norm
        if qk_norm:
            self.query_norm, self.key_norm = RMSNorm(head_width), RMSNorm(head_width)
        initialize(self)
        for part in self.qkv.weight.data.view(3, width, width):  # Q, K and V are separate maps
            nn.init.xavier_uniform_(part)

    def forward(self, x: Tensor, rotary: Tensor | None, cache: KVCache | None = None) -> Tensor:
        """x (B, N, width), rotary (2, N, D / 2) as `positions.Positions` holds it -> (B, N, width).

        With a `cache`, attention is causal and x is the next token; the first call may take several.
        """
        batch, num_tokens, width = x.shape
        qkv = (
            self.qkv(x).view(batch, num_tokens, 3, self.num_heads, -1).permute(2, 0, 3, 1, 4).contiguous()
        )  # (3, B, H, N, D)
        both, value = qkv[:2], qkv[2]  # queries and keys are treated alike
        if self.qk_norm:
            gains = torch.stack([self.query_norm.weight, self.key_norm.weight])[:, None, None, None]
            both = rms_normalized(both) * gains.to(both.dtype)
        if rotary is not None:
            both = rotate(both, rotary)
        query, key = both
        if cache is not None:
            if self.pattern != "causal" or (cache.key is not None and num_tokens > 1):
                raise ValueError("causal attention with a filled cache takes one token at a time")
            key, value = cache.extend(key, value)
        if self.pattern in ("all", "causal"):
            x = _attend(query, key, value, causal=self.pattern == "causal" and num_tokens > 1)
        else:
            x = _attend_along(query, key, value, self.frames, self.pattern)
        return self.project(x.transpose(1, 2).reshape(batch, num_tokens, width))
