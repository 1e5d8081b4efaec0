"""The exponential moving average of the generator, from which samples are drawn."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Model = TypeVar("Model", bound=nn.Module)
RAMPUP = 0.1
"""Upper limit of the half-life, relative to the samples seen so far."""


# Karras et al. 2024 (EDM2) and Huang et al. 2024 (R3GAN): the half-life is counted in samples and grows with the run
class ExponentialMovingAverage(Generic[Model]):
    """An average of the model's weights: the influence of old weights halves every `half_life` samples."""

    def __init__(self, model: Model, *, half_life: int, rampup: float = RAMPUP) -> None:
        self.half_life, self.rampup = half_life, rampup
        self.model = copy.deepcopy(model).eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, model: Model, samples_seen: int, batch_size: int) -> None:
        half_life = min(self.half_life, self.rampup * samples_seen)
        decay = 0.5 ** (batch_size / half_life) if half_life > 0 else 0.0
        torch._foreach_lerp_(list(self.model.parameters()), list(model.parameters()), 1 - decay)
        for averaged, current in zip(self.model.buffers(), model.buffers(), strict=True):
            averaged.copy_(current)
