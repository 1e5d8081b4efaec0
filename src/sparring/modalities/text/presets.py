"""Presets for texts."""

from sparring.codecs.settings import TextSettings
from sparring.config import Config, LossConfig, ModelConfig, OptimConfig, TrainConfig
from sparring.modalities.preset import Preset


def texts() -> Config:
    """Any texts, encoded by an autoencoder; codec and GAN use the same noise on the latents.

    A latent number with noise 0.7 carries up to 0.8 bits. The latents should carry just the bits of a text, about 50
    for a caption: the GAN has to learn spare latents too, although they hold nothing.
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
    """The built-in given names, by characters: two latents for about 20 bits, and too few samples to memorise them."""
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


PRESETS = {
    "names": Preset(
        lambda shape: names(),
        (10,),
        "built-in given names, by characters",
        "3 minutes on one core of an AMD EPYC with AVX-512",
        "98% unique, 10% in the training list; total variation of letter pairs 0.14 (real names: 0.11)",
    ),
    "texts": Preset(
        lambda shape: texts(),
        (20,),
        "any lines of text; with an autoencoder",
        "13 minutes on one core of an AMD EPYC with AVX-512",
        "10,000 captions: most samples read as captions (docs/results.md)",
        general=True,
    ),
}
