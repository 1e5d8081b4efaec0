"""The directions of z that matter most: what a slider moves along."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparring.models.generator import Generator
from sparring.models.initialization import parameter_count
from sparring.sampling import draw_z

COUNT = 8
"""Directions that a page has sliders for."""
SAMPLES, BATCH = 512, 64
WORK, BATCH_WORK = 2**37, 2**32
"""Multiplications, forward, of all samples and of a batch: seconds of a processor, and the memory that goes with it."""
BATCH_NUMBERS = 2**22
"""Of a batch's tokens."""


# Constantine et al. 2014, "active subspaces": the eigenvectors of E[JᵀJ], J being the derivative of what is generated
def directions(
    generator: Generator, count: int = COUNT, *, seed: int = 0, between: Callable[[], None] = lambda: None
) -> Tensor:
    """Orthonormal directions of z, (count, z_size), fewer where z is smaller, the ones first along which the tokens
    change most on average.

    Estimated from random projections of J at 512 random z, fewer where the model is large, classes in turn; the same
    for the same weights and seed. `between` is called before each batch and may raise to end it.
    """
    device = next(generator.parameters()).device
    samples, batch = _plan(generator, count)
    rows = []
    with torch.enable_grad():
        for start in range(0, samples, batch):
            between()
            num = min(batch, samples - start)
            z = draw_z(num, generator.z_size, seed=seed, start=start).to(device).requires_grad_()
            tokens = generator(z, generator.condition.spread(num, start).to(device))
            random = draw_z(num, tokens[0].numel(), seed=seed + 1, start=start).to(device)
            (gradient,) = torch.autograd.grad((tokens.flatten(1) * random).sum(), z)
            rows.append(gradient)
    found = torch.linalg.svd(torch.cat(rows).float().cpu(), full_matrices=False).Vh[:count]
    # The sign of a singular vector is anyone's: its greatest number shall be positive.
    return found * found.gather(1, found.abs().argmax(1, keepdim=True)).sign()


def _plan(generator: Generator, count: int) -> tuple[int, int]:
    """How many samples to take, several for each direction at least, and how many of them at once."""
    first = next(generator.parameters())
    with torch.no_grad():
        condition = generator.condition.spread(1).to(first.device)
        numbers = generator(torch.zeros(1, generator.z_size, device=first.device), condition).numel()
    work = generator.num_tokens * parameter_count(generator)
    samples = min(SAMPLES, max(4 * count, WORK // work))
    return samples, max(1, min(BATCH, BATCH_WORK // work, BATCH_NUMBERS // numbers))
