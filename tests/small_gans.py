"""Untrained GANs of every kind, small, whose samples heed z."""

import torch

from sparring.build import build
from sparring.config import Config
from sparring.data.channels import Channels
from sparring.data.conditions import Classes, Vectors
from sparring.data.spec import DataSpec
from sparring.data.vocabulary import Vocabulary
from sparring.pretrained import GAN

SMALL = {"model.width": 16, "model.depth": 1, "model.num_heads": 2, "model.z_dim": 4, "model.noise_dim": 4}
CODEC = {"codec.name": "autoencoder", "codec.latents": 2, "codec.latent_dim": 8, "codec.width": 16,
         "codec.depth": 1}  # fmt: skip
SERIES = {"codec.patch_size": 4}
TEXTS = DataSpec((6,), vocabulary=Vocabulary("char", tuple("abcdef")), modality="text")
NUMBERS = Vectors(("size", "weight"), (1.0, 200.0), (0.5, 50.0), ((1.0, 150.0), (0.5, 250.0), (1.5, 200.0)))
KINDS = {
    "pictures": (DataSpec((1, 8, 8), Classes(("left", "right")), modality="image"), {"codec.patch_size": 4}),
    "pictures of numbers": (DataSpec((1, 8, 8), NUMBERS, modality="image"), {"codec.patch_size": 4}),
    "pictures without noise": (DataSpec((1, 8, 8), modality="image"), {"codec.patch_size": 4, "model.noise_dim": 0}),
    "series": (DataSpec((2, 12), channels=Channels(("a", "b"), (5.0, 0.0), (100.0, 0.1)), modality="series"), SERIES),
    "series that end": (
        DataSpec((3, 12), channels=Channels(("a", "b"), (5.0, 0.0), (100.0, 0.1), masked=True), modality="series"),
        SERIES,
    ),
    "clips": (DataSpec((1, 4, 8, 8), modality="video"), {"codec.patch_size": 4, **CODEC}),
    "texts": (TEXTS, {**CODEC, "codec.name": "text"}),
}  # fmt: skip


def gan_of(kind) -> GAN:
    spec, settings = KINDS[kind]
    config = Config().replace(SMALL | settings)
    torch.manual_seed(0)
    networks = build(config, spec)
    for parameter in networks.parameters():  # at its start a generator hardly heeds z
        torch.nn.init.normal_(parameter, std=0.3)
    if spec.vocabulary:  # or all texts would be alike
        for parameter in networks.codec.parameters():
            torch.nn.init.normal_(parameter, std=1)
    return GAN(config, spec, networks.eval().requires_grad_(False))
