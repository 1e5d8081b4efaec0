"""The configuration for two bouncing digits."""

import math

from sparring.config import Config, DataConfig, LossConfig, ModelConfig, OptimConfig, TrainConfig
from sparring.critics.settings import CriticSettings, FramesSettings, WholeSettings

from . import crops
from .crops import CropSettings
from .layers import LayerSettings

FRAMES = 4


def bouncing(frames: int, height: int, width: int) -> Config:
    """Two bouncing digits in two layers, without a codec that has to learn to tell one from the other.

    A critic sees four frames at a time, in fine patches; another one sees crops around the digits. z alone says what
    moves where, and the generator must heed it at once: hence the gain and the rates.
    """
    long, patch = frames > FRAMES, max(1, round(max(height, width) / 32))
    finer = patch.bit_length() - 1
    first: CriticSettings = FramesSettings(frames=FRAMES, stem=3) if long else WholeSettings(stem=2)
    seen = min(frames, FRAMES) * height * width
    crop = math.ceil(crops.SIDE * height) * math.ceil(crops.SIDE * width)
    # A crop is half as wide as a frame: one stride-2 convolution less. Its penalties are in the ratio of its numbers.
    close = CropSettings(crops=2, depth=2, stem=2 if long else 1, gamma=crop / seen)
    return Config(
        data=DataConfig(path="bouncing"),
        codec=LayerSettings(patch_size=patch, layers=2),
        critics=(first, close),
        model=ModelConfig(
            width=64, depth=3, num_heads=4, stem=min(5, 2 + finer), noise_dim=0, z_dim=16, adaln_gain=4.0
        ),
        # Strong at first: with 2 one seed in two had a discriminator that outran the generator for good. At twice the
        # resolution the same digits are twice as far apart, and the discriminator is half as steep.
        # The energy distance is one of all frames, and its gradient grows with the root of their number.
        loss=LossConfig(
            r1=8.0 * patch**2,
            r2=8.0 * patch**2,
            final_gamma=0.1,
            penalty_fraction=0.5,
            energy=0.1 * math.sqrt(min(frames, FRAMES) / frames),
        ),
        optim=OptimConfig(lr=1e-3, discriminator_lr=2e-3),
        train=TrainConfig(
            num_samples=120_000 // patch,
            batch_size=16,
            # In bfloat16 rounding is much of the finite differences of so few samples, and digits stay grey patches.
            precision="float32",
            checkpoint_every=20_000,
            sample_every=20_000,
            evaluate_every=20_000,
        ),
    )
