"""The directions of z that change samples most, for the explorer's sliders."""

from collections.abc import Callable

import torch
from torch import Tensor

from sparring.models.generator import Generator
from sparring.models.initialization import parameter_count
from sparring.sampling import draw_z

COUNT = 8
"""Sliders of a page."""
SAMPLES, BATCH = 512, 64
WORK, BATCH_WORK = 2**37, 2**32
"""Maximum multiplications of the forward passes, in total (seconds on a CPU) and per batch (memory)."""
BATCH_NUMBERS = 2**22
"""Maximum number of values in one batch of tokens."""


# Constantine et al. 2014, "active subspaces": the eigenvectors of E[JᵀJ], where J is the Jacobian of the generator
def directions(
    generator: Generator, count: int = COUNT, *, seed: int = 0, between: Callable[[], None] = lambda: None
) -> Tensor:
    """Orthonormal directions of z (count, z_size), sorted by the mean change of the tokens along them; fewer if z is
    smaller.

    Estimated from random projections of J at 512 random z (fewer for large models), all conditions in turn. The result
    depends on the weights and the seed only. `between` is called before each batch and may raise to stop.
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
    # The sign of a singular vector is arbitrary: its largest component is made positive.
    return found * found.gather(1, found.abs().argmax(1, keepdim=True)).sign()


def _plan(generator: Generator, count: int) -> tuple[int, int]:
    """The number of samples, at least 4 per direction, and the batch size."""
    first = next(generator.parameters())
    with torch.no_grad():
        condition = generator.condition.spread(1).to(first.device)
        numbers = generator(torch.zeros(1, generator.z_size, device=first.device), condition).numel()
    work = generator.num_tokens * parameter_count(generator)
    samples = min(SAMPLES, max(4 * count, WORK // work))
    return samples, max(1, min(BATCH, BATCH_WORK // work, BATCH_NUMBERS // numbers))
