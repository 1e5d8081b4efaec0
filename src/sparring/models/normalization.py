"""Root-mean-square normalisation."""

import torch.nn.functional as F
from torch import Tensor, nn


# Zhang & Sennrich 2019, eq. 4
class RMSNorm(nn.RMSNorm):
    """x / sqrt(mean(x^2) + 1e-6) over the last dimension, times a learned weight where `affine`."""

    def __init__(self, width: int, *, affine: bool = True) -> None:
        super().__init__(width, eps=1e-6, elementwise_affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        # Under autocast the weight would be float32 and x not, which has no fused kernel.
        weight = None if self.weight is None else self.weight.to(x.dtype)
        return F.rms_norm(x, self.normalized_shape, weight, self.eps)
