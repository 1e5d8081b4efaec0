"""Presets: complete configurations, measured where they say so, and how they adapt to a size, a set or a loss."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sparring.config import Config, ConfigError
from sparring.settings import one_of

# width, depth, heads
SIZES: dict[str, tuple[int, int, int]] = {
    "XS": (64, 2, 2),
    "S": (128, 4, 4),
    "B": (256, 6, 4),
    "L": (384, 12, 6),
    "XL": (768, 12, 12),
}
MAX_PASSES = 750
"""Most passes over a set without augmentation: after more of them the discriminator knows a small set by heart."""


@dataclass(frozen=True)
class Preset:
    """A row of `sparring presets`; `make` takes the shape of a sample."""

    make: Callable[[tuple[int, ...]], Config]
    shape: tuple[int, ...]
    data: str
    time: str
    quality: str
    general: bool = False
    """Whether it is the modality's own preset, for any data."""


def with_size(config: Config, size: str) -> Config:
    """The same with networks of this size of `SIZES`; learning rates fall with the square root of the width."""
    if size not in SIZES:
        raise ConfigError(one_of("size", size, SIZES))
    width, depth, heads = SIZES[size]
    old, factor = config.optim, (config.model.width / width) ** 0.5
    lr = old.lr * factor
    changes = {"model.width": width, "model.depth": depth, "model.num_heads": heads, "optim.lr": lr}
    if old.discriminator_lr is not None:
        changes["optim.discriminator_lr"] = lr * (old.discriminator_lr / old.lr)
    return config.replace(changes)


def for_set(config: Config, count: int) -> Config:
    """The same for a set of `count` samples: batches that it fills, in as many steps, and at most `MAX_PASSES` over it;
    the energy distance keeps the variety of a set that small.

    On 40 series (BasicMotions), batches of 128, which hold each of them thrice, made one or two samples a class.
    Batches of 32 made samples 0.66 times as varied as the data after 750 passes, 0.14 times after 1,900, and with the
    energy distance 1.06 times after 750.
    """
    train = config.train
    batch_size = min(train.batch_size, max(2, 2 ** (count.bit_length() - 1)))
    num_samples = train.num_samples * batch_size // train.batch_size
    changes = {"train.batch_size": batch_size, "train.num_samples": num_samples}
    if not config.augment.probability and num_samples > MAX_PASSES * count:
        changes |= {"train.num_samples": MAX_PASSES * count, "loss.energy": 0.3}
    return config.replace(changes)


def with_loss(config: Config, name: str) -> Config:
    """The same with another adversarial pair.

    The textbook's discriminator judges each sample by itself and goes on where the relativistic one is content: with
    the presets' R1 and R2 it outruns the generator, with ten times as much both learn (measured on the digits).
    """
    factor = 10 if name in ("non-saturating", "minimax") else 1
    return config.replace({"loss.name": name, "loss.r1": factor * config.loss.r1, "loss.r2": factor * config.loss.r2})


def misfit(patch: int, wanted: float, *axes: int) -> float:
    """The distance of a patch size from the wanted one, on a log scale. One that does not divide the axes counts as
    twice as far: padding is work for nothing."""
    return abs(math.log(patch / wanted)) + (math.log(2) if any(axis % patch for axis in axes) else 0.0)
