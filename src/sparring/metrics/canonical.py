"""An order of samples that they alone decide: what is drawn from them at random does not depend on how they came."""

import torch
from torch import Tensor


def canonical(samples: Tensor) -> Tensor:
    """The places (N,) of samples (N, ...) in that order."""
    return keys(samples).argsort(stable=True)


def keys(samples: Tensor) -> Tensor:
    """What they are put in order by, (N,): numbers that hardly change where a sample differs in its last bits."""
    flat = samples.detach().flatten(1).cpu()
    weights = torch.randn(flat.shape[1], generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # Row by row: a product of matrices rounds by how many rows there are.
    return torch.stack([row.double().nan_to_num() @ weights for row in flat])
