import math

import pytest
import torch

from sparring.codecs import make_codec
from sparring.codecs.autoencoder import AutoencoderCodec
from sparring.config import Config, ConfigError
from sparring.data.bouncing import bouncing

SHAPES = [
    ((2, 12), {"patch_size": 3}),
    ((1, 8, 8), {"patch_size": 4}),
    ((1, 4, 8, 8), {"patch_size": 4, "patch_frames": 2}),
]


def make(shape, latents=None, **options):
    torch.manual_seed(0)
    return AutoencoderCodec(shape, latents=latents, latent_dim=6, width=16, depth=1, num_heads=2, **options)


@pytest.mark.parametrize(("shape", "options"), SHAPES)
@pytest.mark.parametrize("latents", [None, 3])
def test_shapes_agree_in_both_directions(shape, options, latents):
    codec, samples = make(shape, latents, **options), torch.randn(5, *shape)
    compressed = codec.compress(samples)
    assert compressed.shape == (5, *codec.latent_shape)
    assert math.prod(codec.patches.grid) == (latents or math.prod(codec.pixels.grid))
    tokens = codec.encode(samples)
    assert tokens.shape == (5, math.prod(codec.patches.grid), 6)
    assert codec.decode(tokens).shape == (5, *shape)
    torch.testing.assert_close(codec.decode(tokens), codec.expand(compressed))


@pytest.mark.parametrize("latents", [None, 3])
def test_latents_are_normalised_and_their_scale_means_nothing(latents):
    codec = make((1, 8, 8), latents, patch_size=4)
    tokens = codec.encode(torch.randn(5, 1, 8, 8))
    torch.testing.assert_close(tokens.mean(-1), torch.zeros_like(tokens[..., 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens.var(-1, correction=0), torch.ones_like(tokens[..., 0]), atol=1e-2, rtol=0)
    torch.testing.assert_close(codec.decode(3 * tokens), codec.decode(tokens), atol=1e-4, rtol=1e-4)


def test_a_latent_of_the_grid_knows_its_place_and_one_of_few_everything():
    samples, changed = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    changed[..., 4:, 4:] = 1
    for latents in (None, 2):
        codec = make((1, 8, 8), latents, patch_size=4)
        moved = (codec.encode(changed) - codec.encode(samples)).abs().amax(-1)
        assert (moved > 1e-3).all()
    assert make((1, 8, 8), None, patch_size=4).latent_shape == (6, 2, 2)
    assert make((1, 4, 8, 8), None, patch_size=4, patch_frames=2).latent_shape == (6, 2, 2, 2)
    assert make((2, 12), None, patch_size=3).latent_shape == (6, 4)


def test_loss_is_the_error_of_what_noisy_latents_give_back():
    codec, samples = make((1, 8, 8), patch_size=4, noise=0.5), torch.randn(5, 1, 8, 8)
    loss = codec.loss(samples, torch.Generator().manual_seed(3))["loss/reconstruction"]
    latents = codec.compress(samples)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))
    expected = (codec.expand(latents + 0.5 * noise) - samples).square().mean()  # of unmeasured data the spread is 1
    torch.testing.assert_close(loss, expected)


def test_learns_to_reconstruct():
    clips = bouncing(frames=4, resolution=16, num_digits=1, count=64).batch(torch.arange(64))[0]
    torch.manual_seed(0)
    codec = AutoencoderCodec(
        (1, 4, 16, 16), patch_size=4, patch_frames=2, latent_dim=12, width=32, depth=1, num_heads=2, noise=0.1
    )
    codec.measure(clips)
    optimizer = torch.optim.Adam(codec.parameters(), 5e-3)
    random = torch.Generator().manual_seed(0)
    for _ in range(150):
        optimizer.zero_grad()
        codec.loss(clips, random)["loss/reconstruction"].backward()
        optimizer.step()
    with torch.no_grad():
        error = (codec.decode(codec.encode(clips)) - clips).square().mean()
    assert error < 0.35 * (clips - clips.mean(0)).square().mean()


def test_config_makes_the_codec_and_refuses_what_has_no_effect():
    config = Config().replace({"codec.name": "autoencoder", "codec.latents": 4, "model.bounded": False})
    assert make_codec(config, (1, 8, 8)).latent_shape == (16, 4)
    for wrong, message in (
        ({"codec.latents": 4}, "--codec.latents has no effect with --codec.name patch"),
        ({"codec.name": "autoencoder"}, "--model.bounded false"),
        ({"codec.name": "autoencoder", "model.bounded": False, "augment.probability": 0.5}, "--augment.probability"),
        ({"codec.name": "autoencoder", "codec.overlap": 1}, "--codec.overlap has no effect"),
        ({"codec.num_heads": 5, "codec.name": "autoencoder"}, "--codec.num_heads must divide"),
    ):
        with pytest.raises(ConfigError, match=message):
            Config().replace(wrong)


def test_measures_each_channel():
    codec, samples = (
        make((2, 8, 8), patch_size=4),
        torch.randn(50, 2, 8, 8) * torch.tensor([3.0, 0.5])[:, None, None] + 5,
    )
    codec.measure(samples)
    torch.testing.assert_close(codec.std.flatten(), torch.tensor([3.0, 0.5]), rtol=0.05, atol=0)
    torch.testing.assert_close(codec.mean.flatten(), torch.tensor([5.0, 5.0]), rtol=0.05, atol=0)
    assert {"mean", "std"} <= codec.state_dict().keys()
