import pytest
import torch

from sparring.build import build
from sparring.codecs.autoencoder import AutoencoderCodec
from sparring.codecs.components import Components, principal
from sparring.codecs.settings import ComponentsSettings
from sparring.config import Config, ConfigError
from sparring.data.sines import sines
from sparring.data.spec import DataSpec
from sparring.modalities.registry import open_dataset


def test_principal_components_against_a_singular_value_decomposition():
    series = torch.randn(400, 1, 24, generator=torch.Generator().manual_seed(0), dtype=torch.float64).cumsum(2)
    rows = principal(series, 5)
    torch.testing.assert_close(rows @ rows.T, torch.eye(5, dtype=torch.float64), atol=1e-9, rtol=0)
    expected = torch.linalg.svd(series[:, 0] - series[:, 0].mean(0), full_matrices=False)[2][:5]
    torch.testing.assert_close((rows @ expected.T).abs(), torch.eye(5, dtype=torch.float64), atol=1e-6, rtol=0)


def test_smooth_series_are_few_numbers_a_channel():
    dataset = open_dataset("sines", window=256)
    components = Components(dataset.sample_shape, 12)
    components.fit(dataset.batch(torch.arange(2000))[0])
    unseen = dataset.held_out.batch(torch.arange(500))[0]
    tokens = components.patchify(unseen)
    assert tokens.shape == (500, 5, 12)
    back = components.unpatchify(tokens)
    assert (back - unseen).square().mean() < 1e-5 * unseen.var()
    torch.testing.assert_close(components.patchify(back), tokens, atol=1e-3, rtol=1e-3)


def test_an_autoencoder_of_components_is_as_smooth_as_the_data():
    dataset = open_dataset("sines", window=256)
    components = Components(dataset.sample_shape, 12)
    codec = AutoencoderCodec(dataset.sample_shape, components, latents=5, latent_dim=8, width=32, depth=1)
    codec.fit(dataset.batch(torch.arange(1000))[0])
    latents = torch.randn(20, *codec.latent_shape)
    made, real = codec.decode(latents).detach(), dataset.batch(torch.arange(20))[0]
    roughness = [x.diff(dim=2, n=2).abs().mean() / x.std() for x in (made, real)]
    assert made.shape == real.shape
    assert roughness[0] < 3 * roughness[1]
    loss = codec.loss(real, torch.Generator().manual_seed(0))["loss/reconstruction"]
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in codec.parameters())


@pytest.mark.parametrize("channels", [5, 1])
def test_a_run_of_components_stops_goes_on_and_is_loaded(tiny, straight_and_broken, channels):
    """A latent for each channel, as the preset of sines has it."""
    dataset = sines(length=24, channels=channels, count=200)
    smooth = {"codec.name": "components", "codec.components": 5, "codec.width": 16, "codec.depth": 1}
    sizes = {"codec.num_samples": 64, "codec.batch_size": 16}
    config = tiny.replace(smooth | sizes | {"train.evaluate_every": 0})
    one, other = straight_and_broken(config, dataset, at=80)  # in the GAN's part
    assert one.codec.latent_shape == (16, channels)
    made = one.sample(20, seed=1)
    assert torch.equal(made, other.sample(20, seed=1))
    assert made.diff(dim=2, n=2).abs().mean() < 0.5 * made.diff(dim=2).abs().mean()  # of noise 1.7 times


def test_components_are_refused_where_they_mean_nothing(tmp_path):
    settings = ComponentsSettings(components=4)
    with pytest.raises(ConfigError, match="components does not fit pictures: set it to patch or autoencoder"):
        build(Config(codec=settings), DataSpec((1, 8, 8), modality="image"))
    with pytest.raises(ConfigError, match="choose at most 3"):
        settings.build(DataSpec((1, 3), modality="series"), 1)
    with pytest.raises(ConfigError, match="up to 4096 steps"):
        settings.build(DataSpec((1, 5000), modality="series"), 1)
    with pytest.raises(ConfigError, match=r"patch_size has no effect with --codec\.name components"):
        Config().replace({"codec.name": "components", "codec.patch_size": 8})
    (tmp_path / "rows.csv").write_text("1,2,1,3,2,4,3,5,1\n2,4,2,,,,,,\n3,1,5,2,7,1,2,,\n")
    unequal = DataSpec.of(open_dataset(str(tmp_path / "rows.csv")))
    with pytest.raises(ConfigError, match="components is for series of equal length"):
        build(Config(codec=settings), unequal)
