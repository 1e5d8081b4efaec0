"""Presets for video clips."""

import math

from sparring.codecs.settings import AutoencoderSettings
from sparring.config import Config, LossConfig, ModelConfig, OptimConfig, TrainConfig
from sparring.modalities.preset import Preset, misfit


def clips(frames: int, height: int, width: int) -> Config:
    """Any clips, encoded by an autoencoder into eight latents; codec and GAN use the same noise on the latents."""
    stem = 1 if min(frames, height, width) > 1 else 0

    def patch_of(*sizes: int) -> int:
        wanted = math.prod(sizes) ** (1 / len(sizes)) / 4  # four tokens along each axis
        return min(range(1, max(sizes) + 1), key=lambda patch: misfit(patch * 2**stem, wanted, *sizes))

    return Config(
        codec=AutoencoderSettings(
            patch_size=patch_of(height, width),
            patch_frames=patch_of(frames),
            latents=8,
            depth=1,
            stem=stem,
            noise=0.4,
            batch_size=8,
            num_samples=80_000,
        ),
        model=ModelConfig(width=64, depth=3, num_heads=4, adaln_gain=2.0),
        # Constant instance noise at the codec's level: D cannot use details that the decoder does not decode.
        loss=LossConfig(r1=0.5, r2=0.5, penalty_fraction=0.5, instance_noise=0.4, final_noise=0.4),
        optim=OptimConfig(lr=5e-4),
        train=TrainConfig(
            num_samples=200_000, batch_size=16, sample_every=20_000, evaluate_every=50_000, checkpoint_every=20_000
        ),
    )


def bouncing_1(frames: int, height: int, width: int) -> Config:
    """One bouncing digit.

    Its shape, start and velocity take about 50 bits. Four latents of 16 numbers with noise 0.5 carry 74 bits. Eight
    latents with noise 0.4 carry 183 bits; with them one GAN in two collapsed to a few paths.
    """
    return clips(frames, height, width).replace(
        {
            "data.path": "bouncing-1",
            "codec.latents": 4,
            "codec.noise": 0.5,
            "loss.instance_noise": 0.5,
            "loss.final_noise": 0.5,
        }
    )


def bouncing(frames: int, height: int, width: int) -> Config:
    """Two bouncing digits, with the settings for any clips."""
    return clips(frames, height, width).replace({"data.path": "bouncing"})


PRESETS = {
    "bouncing": Preset(
        lambda shape: bouncing(*shape[1:]),
        (1, 16, 64, 64),
        "two bouncing digits (Moving MNIST), generated on the fly; with an autoencoder",
        "about as long as bouncing-1",
        "6 to 14% of the clips keep both digits (real: 99%); the layered video in examples/ does better",
    ),
    "bouncing-1": Preset(
        lambda shape: bouncing_1(*shape[1:]),
        (1, 16, 64, 64),
        "one bouncing digit, generated on the fly; with an autoencoder",
        "14 minutes on one core of an AMD EPYC with AVX-512 at 64×64 without classes",
        "86% of the clips keep their digit (decoded real clips: 87%, real clips: 100%), median of three seeds",
    ),
    "clips": Preset(
        lambda shape: clips(*shape[1:]),
        (1, 16, 64, 64),
        "any clips; with an autoencoder",
        "20 minutes on one busy core for 477 clips at 32×32",
        "emoji: people move correctly, hands and objects are blurred (docs/results.md)",
        general=True,
    ),
}
