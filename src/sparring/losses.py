"""Adversarial losses: pure functions of the discriminator's logits.

A loss has two sides. `discriminator(logits_real, logits_fake)` and `generator(logits_real, logits_fake)` take two
tensors of one shape, usually (B,), and return the loss of each pair, unreduced. A logit is the discriminator's raw
output: D(x) = sigmoid(logit) is the probability that x is real.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LossFunction = Callable[[Tensor, Tensor], Tensor]


class AdversarialLoss(NamedTuple):
    """The losses of both networks."""

    discriminator: LossFunction
    generator: LossFunction


# Goodfellow et al. 2014, eq. 1. With D = sigmoid(logit): -log D = softplus(-logit), -log(1 - D) = softplus(logit).
def classic_discriminator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_D = -E[log D(x)] - E[log(1 - D(G(z)))]."""
    return F.softplus(-logits_real) + F.softplus(logits_fake)


def non_saturating_generator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_G = -E[log D(G(z))] (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-logits_fake)


def minimax_generator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_G = E[log(1 - D(G(z)))], the original loss; its gradient vanishes while D wins."""
    return -F.softplus(logits_fake)


# Lim & Ye 2017; Miyato et al. 2018, eq. 16-17
def hinge_discriminator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_D = E[max(0, 1 - D(x))] + E[max(0, 1 + D(G(z)))] on raw logits."""
    return F.relu(1 - logits_real) + F.relu(1 + logits_fake)


# Mao et al. 2017, eq. 9 with a = 0, b = c = 1
def least_squares_discriminator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_D = 1/2 E[(D(x) - 1)^2] + 1/2 E[D(G(z))^2] on raw logits."""
    return 0.5 * ((logits_real - 1).square() + logits_fake.square())


def least_squares_generator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_G = 1/2 E[(D(G(z)) - 1)^2]."""
    return 0.5 * (logits_fake - 1).square()


# Arjovsky et al. 2017, eq. 2. The Lipschitz constraint is left to the penalties.
def wasserstein_discriminator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_D = E[D(G(z))] - E[D(x)]."""
    return logits_fake - logits_real


def wasserstein_generator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_G = -E[D(G(z))]."""
    return -logits_fake


# Jolicoeur-Martineau 2018; Huang et al. 2024 (R3GAN), eq. 2, in its non-saturating form
def relativistic_discriminator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_D = E[softplus(-(D(x) - D(G(z))))]: the real sample of a pair should have the higher logit."""
    return F.softplus(logits_fake - logits_real)


def relativistic_generator(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """L_G = E[softplus(-(D(G(z)) - D(x)))]."""
    return F.softplus(logits_real - logits_fake)


LOSSES: dict[str, AdversarialLoss] = {
    "relativistic": AdversarialLoss(relativistic_discriminator, relativistic_generator),
    "non-saturating": AdversarialLoss(classic_discriminator, non_saturating_generator),
    "minimax": AdversarialLoss(classic_discriminator, minimax_generator),
    "hinge": AdversarialLoss(hinge_discriminator, wasserstein_generator),
    "least-squares": AdversarialLoss(least_squares_discriminator, least_squares_generator),
    "wasserstein": AdversarialLoss(wasserstein_discriminator, wasserstein_generator),
}


# Lin et al. 2025 (AFM): keeps the logits near zero; a relativistic loss alone does not determine their mean
def logit_centring(logits_real: Tensor, logits_fake: Tensor) -> Tensor:
    """(D(x) + D(G(z)))^2 of each pair, shape (B,)."""
    return (logits_real + logits_fake).square()


# Székely & Rizzo 2013, here conditional; as a generator loss: Bellemare et al. 2017 (Cramér GAN)
def energy_distance(fakes: Tensor, samples: Tensor, similarity: Tensor) -> Tensor:
    """2 E|G(z) - x| - E|G(z) - G(z')| of each fake, (B, ...) -> (B,); |.| is the Euclidean norm.

    `samples` are real samples with the fakes' conditions; `similarity` (B, B) weighs each pair by the similarity of its
    conditions, 1 for equal ones. The mean over a batch is an unbiased estimate of the conditional energy distance, up
    to E|x - x'|, which the generator does not change; it is minimal if fakes are distributed like the data. A fake
    without a similar one in the batch has the value 0.
    """
    x, y, same = fakes.flatten(1), samples.flatten(1), similarity.to(fakes.dtype)
    count = same.sum(1)
    others = same - torch.eye(len(x), dtype=x.dtype, device=x.device)
    rest = count - 1
    to_real = (same * _distances(x, y)).sum(1) / count
    to_fake = (others * _distances(x, x)).sum(1) / rest.clamp_min(MIN_SIMILARITY)
    return torch.where(rest > MIN_SIMILARITY, 2 * to_real - to_fake, 0)


MIN_SIMILARITY = 0.1
"""Total weight of the other fakes below which their distance is ignored."""


def _distances(x: Tensor, y: Tensor) -> Tensor:
    """Euclidean distances (A, B) of x (A, D) to y (B, D); `torch.cdist` has no backward pass on MPS."""
    middle = y.detach().mean(0)  # centring reduces the rounding errors of the product
    x, y = x - middle, y - middle
    square = x.square().sum(1)[:, None] + y.square().sum(1) - 2 * x @ y.T
    return (square.clamp_min(0) + 1e-6).sqrt()
