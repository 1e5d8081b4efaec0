import math

import pytest
import torch

from sparring.build import build
from sparring.codecs.settings import WhitenedSettings
from sparring.codecs.whitened import WhitenedCodec, cosines
from sparring.config import Config, ConfigError
from sparring.data.spec import DataSpec
from sparring.modalities.registry import open_dataset
from sparring.training.codec_trainer import encoded, fit

WHITENED = {"codec.name": "whitened", "codec.patch_size": 4}


def walks(count, steps=24):
    """Random walks of a wide level, another that follows them, and one that stands still."""
    torch.manual_seed(0)
    walk = 5 * torch.randn(count, 1, 1) + 0.1 * torch.randn(count, 1, steps).cumsum(2)
    return torch.cat([walk, 100 * walk + torch.randn(count, 1, steps), torch.full_like(walk, 7)], 1)


def fitted(samples, **options):
    codec = WhitenedCodec(tuple(samples.shape[1:]), 4, **options)
    codec.fit(samples)
    return codec


def test_rows_are_orthonormal_and_a_cosine_is_one_of_them():
    basis = cosines(30)
    torch.testing.assert_close(basis @ basis.T, torch.eye(30), atol=1e-5, rtol=0)
    wave = torch.cos(math.pi * 3 / 30 * (torch.arange(30) + 0.5))
    torch.testing.assert_close(basis @ wave, torch.eye(30)[3] * 15**0.5, atol=1e-5, rtol=0)


@pytest.mark.parametrize("steps", [1, 7, 24])
@pytest.mark.parametrize("whiten", [0, 0.5, 1])
def test_series_come_back(steps, whiten):
    samples = walks(50, steps)
    codec = fitted(samples, whiten=whiten)
    assert codec.encode(samples).shape == (50, 3, steps)
    torch.testing.assert_close(codec.decode(codec.encode(samples)), samples, atol=1e-2, rtol=1e-5)
    assert codec.error(samples, codec.decode(codec.encode(samples))) < 1e-5
    unseen = 2 * walks(70, steps)[50:]
    unseen[:, 2] = 7
    torch.testing.assert_close(codec.decode(codec.encode(unseen)), unseen, atol=1e-2, rtol=1e-5)


def test_what_never_changes_stays_so_whatever_is_made():
    codec = fitted(walks(200))
    assert torch.equal(codec.decode(torch.randn(4, 3, 24))[:, 2], torch.full((4, 24), 7.0))


def test_quick_movements_are_as_large_as_slow_ones_once_whitened():
    samples = walks(3000)
    plain, half, whole = (fitted(samples, whiten=w).encode(samples) @ cosines(24).T for w in (0, 0.5, 1))
    for latents in (plain, half, whole):
        torch.testing.assert_close(latents.mean(0), torch.zeros(3, 24), atol=0.02, rtol=0)
        assert latents.square().mean().item() == pytest.approx(1, rel=0.01)
        assert (latents[:, 2] == 0).all()
    torch.testing.assert_close(whole.std(0)[:2], whole.std(0)[:1, :1].expand(2, 24), atol=0.05, rtol=0)
    ratio = (plain.std(0) / plain.std(0)[0, 0])[:2]
    assert ratio.min() < 0.01
    torch.testing.assert_close((half.std(0) / half.std(0)[0, 0])[:2], ratio.sqrt(), rtol=0.01, atol=0)


def test_turned_channels_do_not_vary_together():
    samples = walks(3000)
    codec = fitted(samples, whiten=0)
    latents = codec.encode(samples)[:, :2].transpose(0, 1).flatten(1)
    assert abs(torch.corrcoef(latents)[0, 1]) < 0.01


def test_a_run_stops_goes_on_and_samples_as_any_other(tiny, straight_and_broken):
    config = tiny.replace(WHITENED | {"data.path": "sines", "train.evaluate_every": 0})
    dataset = open_dataset("sines", window=12)
    one, other = straight_and_broken(config, dataset, at=24)
    assert torch.equal(one.sample(5), other.sample(5))
    series = one.codec.decode(one.codec.encode(dataset.batch(torch.arange(9))[0]))
    torch.testing.assert_close(series, dataset.batch(torch.arange(9))[0], atol=1e-5, rtol=1e-5)


def test_windows_are_encoded_as_they_are_asked_for():
    dataset = open_dataset("sines", window=12)
    codec = WhitenedCodec(dataset.sample_shape, 4)
    fit(codec, dataset, torch.device("cpu"))
    latents = encoded(dataset, codec, torch.device("cpu"))
    chosen = torch.tensor([5, 3, 5])
    assert len(latents) == len(dataset)
    assert latents.sample_shape == codec.latent_shape
    torch.testing.assert_close(latents.batch(chosen)[0], codec.encode(dataset.batch(chosen)[0]))
    assert torch.equal(latents.batch(chosen)[1], dataset.batch(chosen)[1])


def test_what_cannot_be_whitened_is_refused(tmp_path):
    config = Config(codec=WhitenedSettings())
    with pytest.raises(ConfigError, match="whitened does not fit pictures: set it to patch or autoencoder"):
        build(config, DataSpec((1, 8, 8), modality="image"))
    with pytest.raises(ValueError, match="up to 4096 steps"):
        WhitenedSettings().build(DataSpec((1, 5000), modality="series"), 1)
    (tmp_path / "rows.csv").write_text("1,2,1,3,2,4,3,5,1\n2,4,2,,,,,,\n3,1,5,2,7,1,2,,\n")
    spec = DataSpec.of(open_dataset(str(tmp_path / "rows.csv")))
    assert spec.channels.masked
    with pytest.raises(ConfigError, match="whitened is for series of equal length"):
        build(config, spec)
    with pytest.raises(ConfigError, match=r"has no effect with --codec\.name patch"):
        Config().replace({"codec.whiten": 0.7})
