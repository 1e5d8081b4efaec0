import json

import pytest

from sparring import presets
from sparring.config import Config, ConfigError
from sparring.data.channels import Channels
from sparring.data.spec import DataSpec

MODALITIES = {1: "text", 2: "series", 3: "image", 4: "video"}


def preset_of(shape, size=None, masked=False):
    channels = None
    if len(shape) == 2:
        count = shape[0] - masked
        channels = Channels(tuple(map(str, range(count))), (0.0,) * count, (1.0,) * count, masked)
    return presets.configured(DataSpec(shape, channels=channels, modality=MODALITIES[len(shape)]), 50_000, size=size)


@pytest.mark.parametrize("name", presets.all_presets())
def test_presets_are_valid_and_survive_json(name):
    preset = presets.preset_named(name)
    config = preset.make(preset.shape)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize(
    ("count", "batch_size", "num_samples"),
    [(1, 2, 750), (40, 32, 30_000), (127, 64, 95_250), (399, 128, 299_250), (400, 128, 300_000), (10**6, 128, 300_000)],
)
def test_a_small_set_fills_its_batches_and_is_not_learnt_by_heart(count, batch_size, num_samples):
    config = presets.for_set(presets.series(100), count)
    assert (config.train.batch_size, config.train.num_samples) == (batch_size, num_samples)
    assert bool(config.loss.energy) is (count < 400)


def test_what_is_augmented_may_be_seen_more_often_in_as_many_steps():
    usual, config = presets.images(32, 32), presets.for_set(presets.images(32, 32), 10)
    assert config.train.batch_size == 8
    assert config.train.num_samples == usual.train.num_samples // 2


@pytest.mark.parametrize(("count", "energy"), [(50_000, 0.0), (20_000, 0.0), (19_999, 0.3), (1, 0.3)])
def test_samples_of_few_images_are_kept_apart(count, energy):
    assert presets.images(32, 32, count=count).loss.energy == energy


def test_the_textbook_s_pairs_get_ten_times_the_penalty():
    usual, config = presets.digits().loss, presets.with_loss(presets.digits(), "non-saturating")
    assert (config.loss.name, config.loss.r1, config.loss.r2) == ("non-saturating", 10 * usual.r1, 10 * usual.r2)
    assert presets.with_loss(presets.digits(), "hinge").loss.r1 == usual.r1
    with pytest.raises(ConfigError, match="did you mean hinge"):
        presets.with_loss(presets.digits(), "hing")


def test_series_are_whitened_where_they_can_be():
    assert preset_of((2, 24)).codec.name == "whitened"
    assert preset_of((3, 24), masked=True).codec.name == "patch"
    assert preset_of((2, 5000)).codec.name == "patch"


def test_sines_are_made_of_few_components():
    assert [presets.sines(length).codec.components for length in (3, 24, 256)] == [3, 5, 12]
    assert presets.sines(5000).codec.name == "autoencoder"


@pytest.mark.parametrize("shape", [(10,), (5, 24), (1, 16, 64, 64)])
def test_a_size_sets_the_networks_and_scales_the_learning_rates(shape):
    usual, large = preset_of(shape), preset_of(shape, "B")
    assert (large.model.width, large.model.depth, large.model.num_heads) == presets.SIZES["B"]
    assert large.optim.lr == pytest.approx(usual.optim.lr * (usual.model.width / large.model.width) ** 0.5)
    changed = {name for name, value in large.flat().items() if value != usual.flat()[name]}
    assert changed <= {"model.width", "model.depth", "model.num_heads", "optim.lr"}


def test_both_learning_rates_fall_with_the_width():
    usual, large = presets.digits(), presets.with_size(presets.digits(), "B")
    assert large.optim.lr == usual.optim.lr / 2
    assert large.optim.discriminator_lr == usual.optim.discriminator_lr / 2


@pytest.mark.parametrize(
    ("size", "lr", "batch_size"), [("XS", 5e-4, 16), ("S", 5e-4 * 0.5**0.5, 16), ("B", 2.5e-4, 64)]
)
def test_large_networks_of_images_see_larger_batches(size, lr, batch_size):
    config = preset_of((3, 32, 32), size)
    assert (config.optim.lr, config.optim.discriminator_lr, config.train.batch_size) == (lr, 3 * lr, batch_size)


def test_there_is_no_other_size():
    with pytest.raises(ConfigError, match="--size must be one of XS, S, B, L, XL, not XXL"):
        presets.with_size(presets.digits(), "XXL")
