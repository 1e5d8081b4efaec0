import math

import pytest
import torch

from sparring.codecs.autoencoder import AutoencoderCodec
from sparring.codecs.patch import Patches
from sparring.codecs.settings import AutoencoderSettings
from sparring.data.bouncing import bouncing
from sparring.data.spec import DataSpec

SHAPES = [
    ((2, 12), {"patch_size": 3}),
    ((1, 8, 8), {"patch_size": 4}),
    ((1, 4, 8, 8), {"patch_size": 4, "patch_frames": 2}),
]


def make(shape, latents=None, *, patch_size, patch_frames=None, **options):
    torch.manual_seed(0)
    pixels = Patches(shape, patch_size, patch_frames)
    return AutoencoderCodec(shape, pixels, latents=latents, latent_dim=6, width=16, depth=1, **options)


def tokens_of(codec, samples):
    return codec.tokenizer.patchify(codec.encode(samples))


@pytest.mark.parametrize(("shape", "options"), SHAPES)
@pytest.mark.parametrize("latents", [None, 3])
def test_shapes_agree_in_both_directions(shape, options, latents):
    codec, samples = make(shape, latents, **options), torch.randn(5, *shape)
    encoded = codec.encode(samples)
    assert encoded.shape == (5, *codec.latent_shape)
    assert math.prod(codec.tokenizer.grid) == (latents or math.prod(codec.pixels.grid))
    tokens = codec.tokenizer.patchify(encoded)
    assert tokens.shape == (5, math.prod(codec.tokenizer.grid), 6)
    assert torch.equal(codec.unpatchify(tokens), encoded)
    assert codec.decode(encoded).shape == (5, *shape)


@pytest.mark.parametrize("latents", [None, 3])
def test_latents_are_normalised_and_their_scale_means_nothing(latents):
    codec = make((1, 8, 8), latents, patch_size=4)
    latents = codec.encode(torch.randn(5, 1, 8, 8))
    tokens = codec.tokenizer.patchify(latents)
    torch.testing.assert_close(tokens.mean(-1), torch.zeros_like(tokens[..., 0]), atol=1e-5, rtol=0)
    torch.testing.assert_close(tokens.var(-1, correction=0), torch.ones_like(tokens[..., 0]), atol=1e-2, rtol=0)
    torch.testing.assert_close(codec.decode(3 * latents), codec.decode(latents), atol=1e-4, rtol=1e-4)


def test_a_latent_of_the_grid_knows_its_place_and_one_of_few_everything():
    samples, changed = torch.zeros(1, 1, 8, 8), torch.zeros(1, 1, 8, 8)
    changed[..., 4:, 4:] = 1
    for latents in (None, 2):
        codec = make((1, 8, 8), latents, patch_size=4)
        moved = (tokens_of(codec, changed) - tokens_of(codec, samples)).abs().amax(-1)
        assert (moved > 1e-3).all()
    assert make((1, 8, 8), None, patch_size=4).latent_shape == (6, 2, 2)
    assert make((1, 4, 8, 8), None, patch_size=4, patch_frames=2).latent_shape == (6, 2, 2, 2)
    assert make((2, 12), None, patch_size=3).latent_shape == (6, 4)


def test_loss_is_the_error_of_what_noisy_latents_give_back():
    codec, samples = make((1, 8, 8), patch_size=4, noise=0.5), torch.randn(5, 1, 8, 8)
    loss = codec.loss(samples, torch.Generator().manual_seed(3))["loss/reconstruction"]
    latents = codec.encode(samples)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(3))
    expected = (codec.decode(latents + 0.5 * noise) - samples).square().mean()  # of unmeasured data the spread is 1
    torch.testing.assert_close(loss, expected)


def test_learns_to_reconstruct():
    clips = bouncing(frames=4, resolution=16, num_digits=1, count=64).batch(torch.arange(64))[0]
    torch.manual_seed(0)
    pixels = Patches((1, 4, 16, 16), 4, 2)
    codec = AutoencoderCodec((1, 4, 16, 16), pixels, latent_dim=12, width=32, depth=1, noise=0.1)
    codec.fit(clips)
    optimizer = torch.optim.Adam(codec.parameters(), 5e-3)
    random = torch.Generator().manual_seed(0)
    for _ in range(150):
        optimizer.zero_grad()
        codec.loss(clips, random)["loss/reconstruction"].backward()
        optimizer.step()
    with torch.no_grad():
        error = (codec.decode(codec.encode(clips)) - clips).square().mean()
    assert error < 0.35 * (clips - clips.mean(0)).square().mean()


def test_settings_make_the_codec():
    spec = DataSpec((1, 8, 8), modality="image")
    assert AutoencoderSettings(latents=4).build(spec, 1).latent_shape == (16, 4)
    assert AutoencoderSettings().build(spec, 1).latent_shape == (16, 2, 2)


def test_takes_the_statistics_of_each_channel():
    codec, samples = (
        make((2, 8, 8), patch_size=4),
        torch.randn(50, 2, 8, 8) * torch.tensor([3.0, 0.5])[:, None, None] + 5,
    )
    codec.fit(samples)
    torch.testing.assert_close(codec.std.flatten(), torch.tensor([3.0, 0.5]), rtol=0.05, atol=0)
    torch.testing.assert_close(codec.mean.flatten(), torch.tensor([5.0, 5.0]), rtol=0.05, atol=0)
    assert {"mean", "std"} <= codec.state_dict().keys()
