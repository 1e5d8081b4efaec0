"""Root-mean-square normalisation."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EPS = 1e-6


# Zhang & Sennrich 2019, eq. 4
class RMSNorm(nn.RMSNorm):
    """x / sqrt(mean(x^2) + 1e-6) over the last dimension, times a learned weight where `affine`."""

    def __init__(self, width: int, *, affine: bool = True) -> None:
        super().__init__(width, eps=EPS, elementwise_affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        normalized = rms_normalized(x)
        # Under autocast the weight is float32 and x is not: without a cast the product would be float32, and slow.
        return normalized if self.weight is None else normalized * self.weight.to(x.dtype)


def rms_normalized(x: Tensor) -> Tensor:
    """x / sqrt(mean(x^2) + 1e-6) over the last dimension, twice differentiable."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.rms_norm(x, x.shape[-1:], eps=EPS)
    return _RMSNormalized.apply(x)[0]


# On a CPU with gradients, PyTorch's RMS norm is a dozen small operations; this takes 0.6 times as long.
class _RMSNormalized(torch.autograd.Function):
    """x (..., D) to y = x r and r = (mean(x^2) + 1e-6)^(-1/2), (..., 1); r serves the second derivative only."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        precise = torch.float32 if x.dtype.itemsize < 4 else x.dtype
        norm = torch.linalg.vector_norm(x, dim=-1, keepdim=True, dtype=precise)
        r = norm.square().div_(x.shape[-1]).add_(EPS).rsqrt_().to(x.dtype)
        y = x * r
        ctx.save_for_backward(y, r)
        ctx.set_materialize_grads(False)
        return y, r

    @staticmethod
    def backward(ctx: Any, grad_y: Tensor | None, grad_r: Tensor | None) -> Tensor | None:
        y, r = ctx.saved_tensors
        grad = None
        if grad_y is not None:
            grad = (grad_y - y * (grad_y * y).mean(-1, keepdim=True)) * r
        if grad_r is not None:
            through_r = -grad_r * y * r.square() / y.shape[-1]
            grad = through_r if grad is None else grad + through_r
        return grad
