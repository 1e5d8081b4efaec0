"""Series whose slow and quick movements are brought to sizes that the GAN can see: a codec that is measured, not
trained.

Shapes: B batch, C channels, T steps.
"""

import math

import torch
from torch import Tensor

from sparring.codecs.codec import Codec
from sparring.codecs.components import axes
from sparring.codecs.patch import Patches

_STILL = 1e-6
"""Of the largest spread: what varies less is constant but for rounding."""
_LEAST = 1e-4
"""Of the largest spread: smaller ones are not made any larger than this."""


class WhitenedCodec(Codec):
    """Series (B, C, T) to series (B, C, T) whose channels do not vary together and whose quick movements are as large
    as their slow ones, or with `whiten` below 1 less so; and back, without loss.

    Channels are turned to what they vary along, and each frequency of each is divided by its spread to the power of
    `whiten`, as speech is before it is coded. A price moves from step to step by a hundredth of what it moves in years:
    to a discriminator whose slope R1 and R2 hold back a window of it is a level, and what a GAN makes of the prices
    themselves has the right level and trembles.
    """

    fit_samples = 20_000

    def __init__(
        self, sample_shape: tuple[int, ...], patch_size: int, whiten: float = 0.3, *, multiple: int = 1
    ) -> None:
        super().__init__()
        channels, steps = sample_shape
        self.sample_shape, self.latent_shape, self.whiten = sample_shape, sample_shape, whiten
        self.tokenizer = Patches(sample_shape, patch_size, multiple=multiple)
        self.register_buffer("basis", cosines(steps), persistent=False)
        self.register_buffer("mean", torch.zeros(channels, 1))
        self.register_buffer("spread", torch.ones(channels, 1))
        self.register_buffer("turn", torch.eye(channels))
        self.register_buffer("centre", torch.zeros(channels, steps))
        self.register_buffer("gain", torch.ones(channels, steps))

    basis: Tensor
    mean: Tensor
    spread: Tensor
    turn: Tensor
    centre: Tensor
    gain: Tensor

    def fit(self, samples: Tensor) -> None:
        """Learns how the channels vary together, and each coefficient's mean and spread."""
        x = samples.cpu().double()  # no device but the CPU has such numbers for certain
        mean = x.mean((0, 2))[:, None]
        spread = (x - mean).square().mean((0, 2)).sqrt()[:, None]
        spread = torch.where(spread > _STILL * spread.max(), spread, 0)
        x = (x - mean) / spread.where(spread > 0, 1)
        turn = axes(torch.einsum("nct,ndt->cd", x, x) / (x.shape[0] * x.shape[2]))
        coefficients = torch.einsum("cd,ndt,kt->nck", turn, x, self.basis.cpu().double())
        std = coefficients.std(0, correction=0)
        gain = std.clamp_min(_LEAST * std.max()) ** self.whiten
        gain = gain * (std / gain).square().mean().sqrt()  # so that all together have the variance 1
        gain = torch.where(std.amax(1, keepdim=True) > _STILL * std.max(), gain, 0)
        for buffer, value in (
            (self.mean, mean), (self.spread, spread), (self.turn, turn), (self.centre, coefficients.mean(0)),
            (self.gain, gain),
        ):  # fmt: skip
            buffer.copy_(value)

    def encode(self, samples: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T): zeros where nothing varies."""
        x = (samples - self.mean) / self.spread.where(self.spread > 0, 1)
        coefficients = self.turn @ x @ self.basis.T - self.centre
        return torch.where(self.gain > 0, coefficients / self.gain.where(self.gain > 0, 1), 0) @ self.basis

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T), the inverse of `encode`."""
        x = self.turn.T @ (latents @ self.basis.T * self.gain + self.centre) @ self.basis
        return x * self.spread + self.mean


# Ahmed et al. 1974, the cosine transform: eigenvectors, nearly, of what varies smoothly along time
def cosines(steps: int) -> Tensor:
    """The orthonormal rows (T, T), slow ones first."""
    k, t = torch.arange(steps, dtype=torch.float64)[:, None], torch.arange(steps, dtype=torch.float64) + 0.5
    basis = torch.cos(math.pi / steps * k * t) * (2 / steps) ** 0.5
    basis[0] *= 0.5**0.5
    return basis.float()
