from typing import Any

import pytest
import torch
from torch import Tensor

from sparring.build import Networks, build
from sparring.codecs.patch import PatchCodec, Patches
from sparring.config import Config
from sparring.critics.critic import Critic
from sparring.critics.view import View, Whole
from sparring.data.spec import DataSpec
from sparring.files import save_tensors
from sparring.models.discriminator import Discriminator
from sparring.training.trainer import Trainer


class Halves(View):
    """The left and the right half of each picture."""

    crops = 2

    def __init__(self, codec):
        super().__init__()
        channels, height, width = codec.latent_shape
        self.shape = (channels, height, width // 2)
        self.tokenizer = Patches(self.shape, codec.tokenizer.patch_size)

    def forward(self, samples: Tensor, draw: Any = None) -> Tensor:
        return torch.stack(samples.chunk(2, -1), 1).flatten(0, 1)


@pytest.fixture
def halved(tiny, shapes):
    """Networks whose first critic sees two crops of a sample."""
    networks = build(tiny, DataSpec.of(shapes))
    view = Halves(networks.codec)
    discriminator = Discriminator(
        view.tokenizer.grid, view.tokenizer.token_dim, width=16, depth=1, num_heads=2,
        condition=DataSpec.of(shapes).condition,
    )  # fmt: skip
    return Networks(networks.codec, networks.generator, [Critic(view, discriminator)])


def test_a_critic_scores_a_sample_by_the_mean_of_its_crops(halved, shapes):
    samples, condition = shapes.batch(torch.arange(6))
    (critic,) = halved.list_critics()
    halves = [critic(half, condition) for half in samples.chunk(2, -1)]
    torch.testing.assert_close(critic.score(samples, condition), sum(halves) / 2)


def test_a_first_critic_of_crops_trains_and_is_timed(tiny, halved, shapes):
    trainer = Trainer(tiny, halved, shapes, torch.device("cpu"), torch.float32)
    trainer.probe()
    before = [p.clone() for p in trainer.generator.parameters()]
    assert all(torch.isfinite(value) for value in trainer.step().values())
    assert any(not torch.equal(a, b) for a, b in zip(before, trainer.generator.parameters(), strict=True))


def test_the_codecs_tokenizer_is_stored_once(tmp_path):
    """A tokenizer may have buffers: a view that shares it must not store them again."""
    codec = PatchCodec((1, 8, 8), 4)
    codec.tokenizer.register_buffer("scale", torch.ones(3))
    view = Whole(codec)
    assert view.tokenizer is codec.tokenizer
    networks = Networks(codec, build(Config(), DataSpec((1, 8, 8), modality="image")).generator, [
        Critic(view, Discriminator((1, 2, 2), 16, width=16, depth=1, num_heads=2))
    ])  # fmt: skip
    assert [name for name in networks.state_dict() if "scale" in name and "tokenizer" in name] == [
        "codec.tokenizer.scale"
    ]
    save_tensors(tmp_path / "a.safetensors", networks.state_dict(), {})
