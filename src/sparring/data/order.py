"""The order of the real samples, a function of the seed and the samples seen, so that resuming needs no state."""

import torch
from torch import Tensor


class ShuffledOrder:
    """An infinite sequence of indices with a new permutation in each epoch."""

    def __init__(self, size: int, seed: int) -> None:
        self.size, self.seed = size, seed
        self._epoch, self._permutation = -1, torch.empty(0, dtype=torch.long)

    def __getitem__(self, span: slice) -> Tensor:
        """The indices at positions `start:stop` of the sequence."""
        positions = torch.arange(span.start, span.stop)
        parts = [self._permuted(epoch)[positions[positions // self.size == epoch] % self.size] for epoch in
                 range(span.start // self.size, (span.stop - 1) // self.size + 1)]  # fmt: skip
        return torch.cat(parts)

    def _permuted(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(derive_seed(self.seed, "order", epoch))
            self._epoch, self._permutation = epoch, torch.randperm(self.size, generator=generator)
        return self._permutation


def derive_seed(*parts: int | str) -> int:
    """A 63-bit seed, hashed from numbers and names."""
    import hashlib

    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=8).digest()) >> 1
