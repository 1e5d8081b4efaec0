"""Whitened series: a codec with statistics of the data and without trained weights.

Shapes: B batch, C channels, T steps.
"""

import math

import torch
from torch import Tensor

from sparring.codecs.codec import Codec
from sparring.codecs.components import axes
from sparring.codecs.patch import Patches

_CONSTANT = 1e-6
"""Standard deviation, relative to the largest, below which a channel or frequency is constant up to rounding."""
_MIN_STD = 1e-4
"""Smallest standard deviation, relative to the largest, that is divided by."""


class WhitenedCodec(Codec):
    """Whitens series (B, C, T): decorrelates channels and amplifies high frequencies; lossless.

    Channels are rotated to their principal axes, and each frequency of each axis is divided by its standard deviation
    to the power of `whiten` (1: all frequencies are equally strong), as in the pre-emphasis of speech coding.

    A price changes from step to step by a hundredth of its change over years. R1 and R2 bound the discriminator's
    gradient, so it sees only a window's level, and a GAN of raw prices has the right level but high-frequency jitter.
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
        """Computes the rotation of the channels, and each coefficient's mean and standard deviation."""
        x = samples.cpu().double()  # not every device has float64
        mean = x.mean((0, 2))[:, None]
        spread = (x - mean).square().mean((0, 2)).sqrt()[:, None]
        spread = torch.where(spread > _CONSTANT * spread.max(), spread, 0)
        x = (x - mean) / spread.where(spread > 0, 1)
        turn = axes(torch.einsum("nct,ndt->cd", x, x) / (x.shape[0] * x.shape[2]))
        coefficients = torch.einsum("cd,ndt,kt->nck", turn, x, self.basis.cpu().double())
        std = coefficients.std(0, correction=0)
        gain = std.clamp_min(_MIN_STD * std.max()) ** self.whiten
        gain = gain * (std / gain).square().mean().sqrt()  # the mean variance becomes 1
        gain = torch.where(std.amax(1, keepdim=True) > _CONSTANT * std.max(), gain, 0)
        for buffer, value in (
            (self.mean, mean), (self.spread, spread), (self.turn, turn), (self.centre, coefficients.mean(0)),
            (self.gain, gain),
        ):  # fmt: skip
            buffer.copy_(value)

    def encode(self, samples: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T); constant coefficients become 0."""
        x = (samples - self.mean) / self.spread.where(self.spread > 0, 1)
        coefficients = self.turn @ x @ self.basis.T - self.centre
        return torch.where(self.gain > 0, coefficients / self.gain.where(self.gain > 0, 1), 0) @ self.basis

    def decode(self, latents: Tensor) -> Tensor:
        """(B, C, T) -> (B, C, T), the inverse of `encode`."""
        x = self.turn.T @ (latents @ self.basis.T * self.gain + self.centre) @ self.basis
        return x * self.spread + self.mean


# Ahmed et al. 1974, the discrete cosine transform: nearly the principal axes of smooth series
def cosines(steps: int) -> Tensor:
    """The orthonormal basis as rows (T, T), low frequencies first."""
    k, t = torch.arange(steps, dtype=torch.float64)[:, None], torch.arange(steps, dtype=torch.float64) + 0.5
    basis = torch.cos(math.pi / steps * k * t) * (2 / steps) ** 0.5
    basis[0] *= 0.5**0.5
    return basis.float()
