import pytest
import torch
from torch import nn

from sparring.losses import LOSSES
from sparring.training.one_stage import backward_through_discriminator


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("lead", [0.0, 3.0, 60.0], ids=["even", "ahead", "won"])
def test_gradients_are_those_of_two_passes(name, lead):
    """Of D's loss, with a penalty that depends on a fake's logit, in D's weights; of G's loss in the fakes."""
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Linear(5, 16), nn.SiLU(), nn.Linear(16, 1), nn.Flatten(0)).double()
    real, fakes = torch.randn(2, 8, 5, dtype=torch.float64)
    fakes.requires_grad_()

    def losses():
        logits_real, logits_fake = discriminator(real) + lead, discriminator(fakes) - lead
        loss_d = LOSSES[name].discriminator(logits_real, logits_fake).mean() + 0.1 * logits_fake[:2].square().sum()
        return loss_d, LOSSES[name].generator(logits_real.detach(), logits_fake).mean(), logits_fake

    loss_d, loss_g, _ = losses()
    expected_d = torch.autograd.grad(loss_d, list(discriminator.parameters()), retain_graph=True)
    (expected_g,) = torch.autograd.grad(loss_g, fakes)

    got = backward_through_discriminator(*losses(), fakes)
    pairs = [(got, expected_g)]
    pairs += [(weight.grad, expected) for weight, expected in zip(discriminator.parameters(), expected_d, strict=True)]
    for gradient, expected in pairs:  # numbers that all but cancel are as exact as the largest
        atol = 1e-9 * float(expected.abs().max())
        torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=atol)


def test_float32_is_enough_for_gradients_of_very_different_size():
    """D's loss has almost no gradient, G's loss has its largest one."""
    torch.manual_seed(0)
    discriminator = nn.Sequential(nn.Linear(5, 16), nn.SiLU(), nn.Linear(16, 1), nn.Flatten(0))
    real, fakes = torch.randn(2, 8, 5)
    fakes.requires_grad_()
    logits_real, logits_fake = discriminator(real) + 20, discriminator(fakes) - 20
    loss_d, loss_g = (loss(logits_real, logits_fake).mean() for loss in LOSSES["relativistic"])
    (expected,) = torch.autograd.grad(loss_g, fakes, retain_graph=True)
    torch.testing.assert_close(backward_through_discriminator(loss_d, loss_g, logits_fake, fakes), expected)
