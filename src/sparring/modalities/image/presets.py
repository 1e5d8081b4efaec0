"""Presets for images."""

import math

from sparring.codecs.settings import PatchSettings
from sparring.config import AugmentConfig, Config, DataConfig, LossConfig, ModelConfig, OptimConfig, TrainConfig
from sparring.modalities.preset import Preset, misfit, with_size

TARGET_TOKENS = 64
"""The number of tokens of an image that the transformers should see."""


def digits() -> Config:
    """The built-in handwritten digits, 28×28, in ten classes."""
    return Config(
        data=DataConfig(path="digits"),
        codec=PatchSettings(patch_size=1),
        model=ModelConfig(width=64, depth=2, num_heads=2, stem=2),
        # Strong at first: if D outruns G within the first thousands of samples, training does not recover.
        loss=LossConfig(r1=2.0, r2=2.0, final_gamma=0.15, gamma_fall=8_000, penalty_fraction=0.5, energy=0.1),
        augment=AugmentConfig(probability=0.5),
        # A higher rate for D preserves the diversity within a class; with decay, fewer digits were recognised.
        optim=OptimConfig(lr=5e-4, discriminator_lr=1.5e-3, decay="constant"),
        train=TrainConfig(
            num_samples=40_000,
            batch_size=16,
            # In bfloat16, rounding errors dominate the finite differences of so few samples.
            precision="float32",
            checkpoint_every=5_000,
            sample_every=5_000,
            evaluate_every=5_000,
        ),
    )


def unconditional_digits() -> Config:
    """The built-in digits without their classes.

    Only z then decides the digit, so z must have an effect from the first step on. The tokens' noise inputs would
    compete with it and are off. Strong R1 and R2 on the whole batch hold D back until all digits are covered.
    """
    return digits().replace(
        {
            "data.conditional": False,
            "model.noise_dim": 0,
            "model.z_dim": 16,
            "model.adaln_gain": 4.0,
            "loss.r1": 2.0,
            "loss.r2": 2.0,
            "loss.final_gamma": 0.25,
            "loss.gamma_fall": None,
            "loss.penalty_fraction": 1.0,
            "optim.decay": "cosine",
            "train.num_samples": 100_000,
            "train.evaluate_every": 20_000,
            "train.sample_every": 20_000,
            "train.checkpoint_every": 20_000,
        }
    )


def images(height: int, width: int, channels: int = 3, size: str = "S", count: int = 50_000) -> Config:
    """Any images; the patch size and the stem follow from the resolution and leave about 64 tokens.

    R1 and R2 decay: with constant penalties, the classes of CIFAR-10 (50,000 images) collapsed to a few images each.
    With the 3,648 images of TinyHero each class collapsed to one image under every setting of D, so the energy
    distance is added for small sets; it slows training on large ones.
    """
    patch, stem = tokens_for(height, width)
    colorful = channels >= 3
    small = Config(
        codec=PatchSettings(patch_size=patch),
        model=ModelConfig(width=64, stem=stem),
        loss=LossConfig(r1=0.5, r2=0.5, final_gamma=0.02, gamma_fall=70_000, energy=0.0 if count >= 20_000 else 0.3),
        augment=AugmentConfig(probability=0.5, cutout=0.25, color=0.2 if colorful else 0.0, flip=colorful),
        optim=OptimConfig(lr=5e-4, discriminator_lr=1.5e-3),
        train=TrainConfig(num_samples=500_000),
    )
    config = with_size(small, size)
    return config.replace({"train.batch_size": 16 if config.model.width <= 128 else 64})


def tokens_for(height: int, width: int) -> tuple[int, int]:
    """The patch size and the number of stem levels that leave about `TARGET_TOKENS` tokens; more levels win a tie."""
    wanted = math.sqrt(height * width / TARGET_TOKENS)
    options = [
        (misfit(patch * 2**stem, wanted, height, width), -stem, patch, stem)
        for stem in range(4)
        for patch in (1, 2, 3, 4, 5, 7, 8)
        if patch * 2**stem <= max(height, width)
    ]
    _, _, patch, stem = min(options)
    return patch, stem


def _images(shape: tuple[int, ...]) -> Config:
    channels, height, width = shape
    return images(height, width, channels)


PRESETS = {
    "digits": Preset(
        lambda shape: digits(),
        (1, 28, 28),
        "built-in digits, 28×28, 10 classes",
        "4 minutes on one core of an AMD EPYC with AVX-512",
        "Fréchet distance 2.7 (real data: 1.2), 98.5% recognised (median of three seeds)",
    ),
    "digits-unconditional": Preset(
        lambda shape: unconditional_digits(),
        (1, 28, 28),
        "built-in digits without their classes",
        "11 minutes on one core of an AMD EPYC with AVX-512",
        "Fréchet distance 4.3 (real data: 1.2), all ten digits (median of three seeds)",
    ),
    "images": Preset(
        _images,
        (3, 32, 32),
        "any images; the patch size follows from the resolution",
        "hours on a CPU; --size XS on one core with AVX-512: 200 samples of 32×32 a second",
        "CIFAR-10 after half an hour: Fréchet distance 2.6 (real data: 0.05), as varied as the data; one seed",
        general=True,
    ),
}
