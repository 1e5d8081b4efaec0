"""The directions of z that matter most: what a slider moves along."""

import torch
from torch import Tensor

from sparring.models.generator import Generator
from sparring.sampling import draw_z

SAMPLES, BATCH = 512, 64


# Constantine et al. 2014, "active subspaces": the eigenvectors of E[JᵀJ], J being the derivative of what is generated
def directions(generator: Generator, count: int = 8, *, seed: int = 0) -> Tensor:
    """Orthonormal directions of z, (count, z_size), the ones first along which the tokens change most on average.

    Estimated from random projections of J at 512 random z, classes in turn; the same for the same weights and seed.
    """
    device = next(generator.parameters()).device
    rows = []
    with torch.enable_grad():
        for start in range(0, SAMPLES, BATCH):
            z = draw_z(BATCH, generator.z_size, seed=seed, start=start).to(device).requires_grad_()
            labels = torch.arange(start, start + BATCH, device=device) % max(1, generator.num_classes)
            tokens = generator(z, labels)
            random = draw_z(BATCH, tokens[0].numel(), seed=seed + 1, start=start).to(device)
            (gradient,) = torch.autograd.grad((tokens.flatten(1) * random).sum(), z)
            rows.append(gradient)
    found = torch.linalg.svd(torch.cat(rows).float().cpu(), full_matrices=False).Vh[:count]
    # The sign of a singular vector is anyone's: its greatest number shall be positive.
    return found * found.gather(1, found.abs().argmax(1, keepdim=True)).sign()
