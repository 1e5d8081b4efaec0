"""Zero-centred gradient penalties on the discriminator: R1 on real samples, R2 on fakes.

Both are 1/2 ||grad_x D(x)||^2 (Mescheder et al. 2018, eq. 9-10; the caller multiplies by gamma), R1 for real x and R2
for fake x, so one function serves both. `exact_penalty` differentiates twice, so it needs
`models.attention.attention_backend("math")`. `finite_difference_penalty` needs forward passes only, so it works with
fused attention, `torch.compile` and sharding.
"""

from collections.abc import Callable

import torch
from torch import Tensor


def exact_penalty(critic: Callable[[Tensor], Tensor], samples: Tensor) -> Tensor:
    """1/2 ||grad_x D(x)||^2 of each sample, (B, ...) -> (B,), differentiable with respect to D's weights."""
    samples = samples.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(samples).sum(), samples, create_graph=True)
    return 0.5 * gradient.square().flatten(1).sum(1)


# Lin et al. 2025 (Seaweed-APT, section 3.4): for e ~ N(0, I), E[((D(x + eps e) - D(x)) / eps)^2] is
# ||grad_x D(x)||^2 up to O(eps^2)
def finite_difference_penalty(logits: Tensor, logits_perturbed: Tensor, epsilon: float) -> Tensor:
    """1/2 ((D(x + epsilon e) - D(x)) / epsilon)^2 of each sample, (B,), for e standard normal of x's shape.

    Augmentation and noise inside D must be the same for both logits.
    """
    return 0.5 * ((logits_perturbed.float() - logits.float()) / epsilon).square()
