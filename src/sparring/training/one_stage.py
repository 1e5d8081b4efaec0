"""Both losses' gradients from one pass back through the discriminator."""

import torch
from torch import Tensor

TINY = 1e-20
"""The slope put in the place of none: too small to move D, large enough to be divided by."""


# Shen et al. 2021 (OSGAN)
def backward_through_discriminator(loss_d: Tensor, loss_g: Tensor, logits_fake: Tensor, fakes: Tensor) -> Tensor:
    """Adds the gradient of `loss_d` to D's weights, and returns that of `loss_g` in the fakes, of their shape.

    D judges each sample by itself, so the gradient of a loss in a fake is that of its logit times the loss' slope in
    this logit. One backward pass with the slopes of `loss_d` thus gives the gradient of `loss_g` too: what it brings to
    each fake, divided by the one slope and multiplied by the other.

    `fakes` (B, ...) is a leaf that requires its gradient and gets `loss_d`'s; `logits_fake` (B,) follow from it through
    D alone, and both losses from them.
    """
    (slope_g,) = torch.autograd.grad(loss_g, logits_fake, retain_graph=True)
    slope_d = torch.empty_like(slope_g)

    def keep(slope: Tensor) -> Tensor:
        # Where D has won by the hinge's margin, its loss has no slope, and the generator's has.
        return slope_d.copy_(torch.where(slope.abs() < TINY, TINY, slope))

    hook = logits_fake.register_hook(keep)
    loss_d.backward()
    hook.remove()
    assert fakes.grad is not None
    return fakes.grad * (slope_g / slope_d).view(-1, *[1] * (fakes.dim() - 1))
