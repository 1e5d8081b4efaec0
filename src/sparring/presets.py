"""Presets: functions that return a complete configuration, measured where it says so."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from sparring.codecs.settings import (
    LONGEST_WHITENED,
    AutoencoderSettings,
    PatchSettings,
    TextSettings,
    WhitenedSettings,
)
from sparring.config import (
    AugmentConfig,
    Config,
    ConfigError,
    DataConfig,
    LossConfig,
    ModelConfig,
    OptimConfig,
    TrainConfig,
)
from sparring.settings import one_of

# width, depth, heads
SIZES: dict[str, tuple[int, int, int]] = {
    "XS": (64, 2, 2),
    "S": (128, 4, 4),
    "B": (256, 6, 4),
    "L": (384, 12, 6),
    "XL": (768, 12, 12),
}
TARGET_TOKENS = 64
"""Tokens of the transformers for an image: the resolution over the stem's factor over the patch, squared."""


def digits() -> Config:
    """Handwritten digits, 28×28, ten classes, in minutes on a laptop."""
    return Config(
        data=DataConfig(path="digits"),
        codec=PatchSettings(patch_size=1),
        model=ModelConfig(width=64, depth=2, num_heads=2, stem=2),
        # Strong at first, as a D that outruns G in its first thousands of samples never comes back.
        loss=LossConfig(r1=2.0, r2=2.0, final_gamma=0.15, gamma_fall=8_000, penalty_fraction=0.5, energy=0.1),
        augment=AugmentConfig(probability=0.5),
        # A discriminator that keeps up keeps a class' variety; where rates fell, fewer digits were recognised.
        optim=OptimConfig(lr=5e-4, discriminator_lr=1.5e-3, decay="constant"),
        train=TrainConfig(
            num_samples=40_000,
            batch_size=16,
            # In bfloat16, rounding makes up most of the finite differences of so few samples.
            precision="float32",
            checkpoint_every=5_000,
            sample_every=5_000,
            evaluate_every=5_000,
        ),
    )


def unconditional_digits() -> Config:
    """Handwritten digits without their classes.

    With nothing but z to say which digit it is, z must move the samples from the first step on, noise of each token's
    own is in the way, and D must be held back until all digits are there: R1 and R2 of the whole batch, strong at
    first.
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


def points(name: str = "grid") -> Config:
    """Gaussians in the plane: for teaching and tests. A smooth D finds all modes, then a steep one sharpens them."""
    return Config(
        data=DataConfig(path=name),
        codec=PatchSettings(patch_size=1),
        model=ModelConfig(width=64, depth=2, num_heads=2, z_dim=2, noise_dim=2, fourier=5.0, adaln_gain=4.0),
        loss=LossConfig(r1=0.08, r2=0.08, final_gamma=0.005, epsilon=0.006, penalty_fraction=0.5, energy=0.3),
        optim=OptimConfig(lr=2e-3, warmup=20_000),
        train=TrainConfig(
            num_samples=200_000, batch_size=128, precision="float32", sample_every=50_000, evaluate_every=50_000
        ),
    )


def series(length: int, whitened: bool = True) -> Config:
    """Series of any kind: longer ones in longer patches, so that 24 steps make 6 tokens and 256 make 32; whitened where
    they can be, so that they do not tremble."""
    patch = min(range(1, 33), key=lambda patch: _misfit(patch, 1.4 * length**0.3, length))
    codec = WhitenedSettings if whitened and length <= LONGEST_WHITENED else PatchSettings
    return Config(
        codec=codec(patch_size=patch),
        model=ModelConfig(width=64, depth=3, num_heads=4, adaln_gain=4.0),
        loss=LossConfig(r1=0.5, r2=0.5, final_gamma=0.1, penalty_fraction=0.5),
        optim=OptimConfig(lr=5e-4, beta2=0.9),
        train=TrainConfig(
            num_samples=300_000, batch_size=128, sample_every=50_000, evaluate_every=0, checkpoint_every=50_000
        ),
    )


def sines(length: int) -> Config:
    """TimeGAN's sines, by way of a codec: a latent of eight numbers for each of the five channels.

    Frequencies of at most 0.1 a step leave a channel as many numbers as one may know of it (Landau & Pollak 1962), and
    a few more: all but a millionth of the variance. Made of steps they tremble, and a discriminator sees nothing else.
    Short ones the codec learns in half the time, which the GAN has then, with rates that fall.
    """
    components = min(length, round(0.1 * length / math.pi) + 4)
    smooth = {"codec.name": "components", "codec.components": components}
    short = {
        "codec.num_samples": 120_000,
        "loss.r1": 0.1,
        "loss.r2": 0.1,
        "optim.decay": "cosine",
        "train.num_samples": 140_000,
    }
    return series(length).replace(
        {
            "data.path": "sines",
            "codec.name": "autoencoder",
            "codec.latent_dim": 8,
            "codec.noise": 0.2,
            "codec.batch_size": 64,
            "codec.num_samples": 250_000,
            "model.adaln_gain": 2.0,
            "loss.r1": 0.3,
            "loss.r2": 0.3,
            "loss.final_gamma": 1.0,
            "loss.instance_noise": 0.2,
            "loss.final_noise": 0.2,
            "optim.decay": "constant",
            "train.num_samples": 100_000,
            "train.batch_size": 16,
            "train.sample_every": 25_000,
            "train.checkpoint_every": 25_000,
        }
        | (smooth if length <= LONGEST_WHITENED else {"codec.latents": 5})
        | (short if length < 128 else {})
    )


def images(height: int, width: int, channels: int = 3, size: str = "S", count: int = 50_000) -> Config:
    """Any images: the patch and the stem follow from the resolution, so that there are about 64 tokens.

    R1 and R2 fall: a discriminator held back to the end lets the classes of 50,000 (CIFAR-10) repeat a few pictures. Of
    3,648 (TinyHero) the generator repeats one a class whatever the discriminator does, so the energy distance keeps the
    variety there; where there are many it slows the game.
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


def clips(frames: int, height: int, width: int) -> Config:
    """Clips of any kind, by way of a codec: eight latents a clip, with noise on them for codec and GAN alike."""
    stem = 1 if min(frames, height, width) > 1 else 0

    def patch_of(*sizes: int) -> int:
        wanted = math.prod(sizes) ** (1 / len(sizes)) / 4  # four tokens along each axis
        return min(range(1, max(sizes) + 1), key=lambda patch: _misfit(patch * 2**stem, wanted, *sizes))

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
        # What the decoder cannot tell apart, the discriminator need not: its noise is the codec's, and stays.
        loss=LossConfig(r1=0.5, r2=0.5, penalty_fraction=0.5, instance_noise=0.4, final_noise=0.4),
        optim=OptimConfig(lr=5e-4),
        train=TrainConfig(
            num_samples=200_000, batch_size=16, sample_every=20_000, evaluate_every=50_000, checkpoint_every=20_000
        ),
    )


def bouncing_1(frames: int, height: int, width: int) -> Config:
    """One bouncing digit: what it is, where it starts and where it goes is worth some 50 bits, and four latents of 16
    numbers with noise of 0.5 carry 74. With eight at 0.4, 183, one GAN in two found a few paths only."""
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
    """Two bouncing digits, as any clips."""
    return clips(frames, height, width).replace({"data.path": "bouncing"})


def texts() -> Config:
    """Texts of any kind, by way of a codec, with noise on the latents for codec and GAN alike.

    A number with noise of 0.7 carries up to 0.8 bits. Best are as many as the texts need, some 50 bits for a caption:
    what is to spare holds nothing and yet has to be learnt.
    """
    return Config(
        codec=TextSettings(width=128, noise=0.7, batch_size=64, num_samples=250_000),
        model=ModelConfig(width=64, depth=3, num_heads=4, adaln_gain=2.0),
        loss=LossConfig(r1=0.1, r2=0.1, penalty_fraction=0.5, instance_noise=0.7, final_noise=0.5),
        optim=OptimConfig(lr=5e-4, decay="constant"),
        train=TrainConfig(
            num_samples=150_000, batch_size=16, sample_every=20_000, evaluate_every=50_000, checkpoint_every=20_000
        ),
    )


def names() -> Config:
    """The built-in given names, by characters: two latents for some 20 bits, a run too short to learn them by heart."""
    return texts().replace(
        {
            "data.path": "names",
            "codec.latents": 2,
            "codec.width": 96,
            "codec.num_samples": 80_000,
            "train.num_samples": 20_000,
            "train.sample_every": 10_000,
            "train.evaluate_every": 10_000,
        }
    )


def preset_for(
    sample_shape: tuple[int, ...], size: str | None = None, count: int = 50_000, *, masked: bool = False
) -> Config:
    """The preset for `count` samples of this shape: texts (L,), series (C, T), pictures (C, H, W) or clips
    (C, T, H, W). `masked` series end at different steps. Without a `size` pictures have networks of size S."""
    match sample_shape:
        case (_,):
            config = texts()
        case (_, length):
            config = series(length, whitened=not masked)
        case (channels, height, width):
            return images(height, width, channels, size or "S", count)
        case (_, frames, height, width):
            config = clips(frames, height, width)
        case _:
            raise ConfigError(f"samples of shape {sample_shape} are neither texts nor series nor pictures nor clips")
    return config if size is None else with_size(config, size)


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


PASSES = 750
"""Of a set by which a run ends where nothing is augmented: the discriminator then knows a small one by heart."""


def for_set(config: Config, count: int) -> Config:
    """The same for a set of `count` samples: batches that it fills, in as many steps, and at most `PASSES` of it; the
    energy distance keeps a set's variety that is so small.

    Of 40 series (BasicMotions), batches of 128, which hold each of them thrice, made one or two a class; batches of 32
    made samples 0.66 times as varied as the data after 750 passes, 0.14 times after 1,900, and with the energy distance
    1.06 times after 750.
    """
    train = config.train
    batch_size = min(train.batch_size, max(2, 2 ** (count.bit_length() - 1)))
    num_samples = train.num_samples * batch_size // train.batch_size
    changes = {"train.batch_size": batch_size, "train.num_samples": num_samples}
    if not config.augment.probability and num_samples > PASSES * count:
        changes |= {"train.num_samples": PASSES * count, "loss.energy": 0.3}
    return config.replace(changes)


def with_loss(config: Config, name: str) -> Config:
    """The same with another adversarial pair.

    The textbook's D judges each sample by itself and goes on pushing where the relativistic one is content: with the
    presets' R1 and R2 it outruns the generator, with ten times as much both learn (measured on the digits).
    """
    factor = 10 if name in ("non-saturating", "minimax") else 1
    return config.replace({"loss.name": name, "loss.r1": factor * config.loss.r1, "loss.r2": factor * config.loss.r2})


def tokens_for(height: int, width: int) -> tuple[int, int]:
    """The patch size and the number of stem levels that leave about `TARGET_TOKENS` tokens: as many as can be."""
    wanted = math.sqrt(height * width / TARGET_TOKENS)
    options = [
        (_misfit(patch * 2**stem, wanted, height, width), -stem, patch, stem)
        for stem in range(4)
        for patch in (1, 2, 3, 4, 5, 7, 8)
        if patch * 2**stem <= max(height, width)
    ]
    _, _, patch, stem = min(options)
    return patch, stem


def _misfit(patch: int, wanted: float, *axes: int) -> float:
    """How far a patch is from the size that is wanted, on a log scale. One that does not divide the axes, which are
    padded then, counts as one twice as far: what is padded is work for nothing."""
    return abs(math.log(patch / wanted)) + (math.log(2) if any(axis % patch for axis in axes) else 0.0)


@dataclass(frozen=True)
class Preset:
    """A row of `sparring presets`; `make` takes the shape of a sample, (C, T), (C, H, W) or (C, T, H, W)."""

    make: Callable[[tuple[int, ...]], Config]
    shape: tuple[int, ...]
    data: str
    time: str
    quality: str


PRESETS: dict[str, Preset] = {
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
    "rings": Preset(
        lambda shape: points("rings"),
        (2, 1, 1),
        "8 Gaussians on a ring",
        "1 minute on one core",
        "all 8 modes, 92% within 3 sigma",
    ),
    "grid": Preset(
        lambda shape: points("grid"),
        (2, 1, 1),
        "25 Gaussians on a grid",
        "1 minute on one core",
        "23 modes of 25, blurred: 35% within 3 sigma; examples/toy_gan.py has all 25",
    ),
    "sines": Preset(
        lambda shape: sines(shape[1]),
        (5, 24),
        "TimeGAN's sines, 5 channels",
        "5 minutes on one core of an AMD EPYC with AVX-512",
        "discriminative score 0.006 (real data: 0.010), median of three seeds",
    ),
    "series": Preset(
        preset_for,
        (5, 24),
        "any series, as tables or arrays; patches follow from the length",
        "4 minutes on one core of an AMD EPYC with AVX-512 for windows of 24 steps",
        "Google stocks: discriminative score 0.014 (real data: 0.011), median of three seeds",
    ),
    "names": Preset(
        lambda shape: names(),
        (10,),
        "built-in given names, by characters",
        "3 minutes on one core of an AMD EPYC with AVX-512",
        "98% unique, 10% in the training list; total variation of letter pairs 0.14 (real names: 0.11)",
    ),
    "texts": Preset(
        preset_for,
        (20,),
        "any lines of text; by way of a codec",
        "13 minutes on one core of an AMD EPYC with AVX-512",
        "10,000 captions: most samples read as captions (docs/results.md)",
    ),
    "images": Preset(
        preset_for,
        (3, 32, 32),
        "any images; patches follow from the resolution",
        "hours on a CPU; --size XS on one core with AVX-512: 200 samples of 32×32 a second",
        "CIFAR-10 after half an hour: Fréchet distance 2.6 (real data: 0.05), as varied as the data; one seed",
    ),
    "bouncing": Preset(
        lambda shape: bouncing(*shape[1:]),
        (1, 16, 64, 64),
        "two bouncing digits (Moving MNIST), made on the fly; by way of a codec",
        "about as long as bouncing-1",
        "6 to 14% of the clips keep both digits (real: 99%); examples/ has films in layers, which do better",
    ),
    "bouncing-1": Preset(
        lambda shape: bouncing_1(*shape[1:]),
        (1, 16, 64, 64),
        "one bouncing digit, made on the fly; by way of a codec",
        "14 minutes on one core of an AMD EPYC with AVX-512 at 64×64 without classes",
        "86% of the clips keep their digit (the codec's own: 87%, real ones: 100%), median of three seeds",
    ),
    "clips": Preset(
        preset_for,
        (1, 16, 64, 64),
        "any clips; by way of a codec",
        "20 minutes on one busy core for 477 clips at 32×32",
        "emoji: people move as they should, hands and things are blurred (docs/results.md)",
    ),
}
