"""The gradients of both losses from one backward pass through the discriminator."""

import torch
from torch import Tensor

TINY = 1e-20
"""Replacement for a gradient of 0 in a logit: too small to change D, large enough to divide by."""


# Shen et al. 2021 (OSGAN)
def backward_through_discriminator(loss_d: Tensor, loss_g: Tensor, logits_fake: Tensor, fakes: Tensor) -> Tensor:
    """Adds the gradient of `loss_d` to D's weights, and returns the gradient of `loss_g` in the fakes (B, ...).

    D processes each sample separately, so the gradient of a loss in a fake is the gradient of the fake's logit times
    the loss' gradient in this logit. One backward pass of `loss_d` therefore gives the gradient of `loss_g` too: the
    gradient of `loss_d` in the fake, divided by its gradient in the logit, times the gradient of `loss_g` in the logit.

    `fakes` (B, ...) is a leaf that requires its gradient, and receives that of `loss_d`. `logits_fake` (B,) depend on
    it through D only, and both losses depend on them.
    """
    (grad_g,) = torch.autograd.grad(loss_g, logits_fake, retain_graph=True)
    grad_d = torch.empty_like(grad_g)

    def keep(gradient: Tensor) -> Tensor:
        # Beyond the hinge's margin D's loss has the gradient 0, but the generator's loss has not.
        return grad_d.copy_(torch.where(gradient.abs() < TINY, TINY, gradient))

    hook = logits_fake.register_hook(keep)
    loss_d.backward()
    hook.remove()
    assert fakes.grad is not None
    return fakes.grad * (grad_g / grad_d).view(-1, *[1] * (fakes.dim() - 1))
