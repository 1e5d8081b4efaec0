import dataclasses
import json
import typing

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sparring import presets
from sparring.build import Networks
from sparring.config import Config, ConfigError, describe, differences

from specs import spec_of


def test_json_round_trip():
    config = Config().replace({"model.depth": 6, "optim.clip": 1.5, "data.labels": "labels.csv"})
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", presets.PRESETS)
def test_presets_are_valid_and_survive_json(name):
    config = presets.PRESETS[name].make(presets.PRESETS[name].shape)
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_text_is_read_by_the_field_s_type():
    config = Config().replace(
        {"model.depth": "6", "train.num_samples": "1e6", "model.rotary": "false", "optim.clip": "none", "loss.r1": "2"}
    )
    assert (config.model.depth, config.train.num_samples, config.loss.r1) == (6, 1_000_000, 2.0)
    assert config.model.rotary is False
    assert config.optim.clip is None
    assert Config().replace({"train.num_samples": "200_000"}).train.num_samples == 200_000


def choices():
    """Every setting that is one of a few words, and each of them."""
    for section, kind in typing.get_type_hints(Config).items():
        for name, hint in typing.get_type_hints(kind).items():
            for part in (hint, *typing.get_args(hint)):
                if typing.get_origin(part) is typing.Literal:
                    yield from ((f"{section}.{name}", word) for word in typing.get_args(part))


@pytest.mark.parametrize(("name", "word"), choices())
def test_every_word_that_is_offered_is_taken(name, word):
    section, _, setting = name.partition(".")
    config = Config().replace({"model.bounded": False, name: word})
    assert getattr(getattr(config, section), setting) == word


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("data.tokenizer", "letters", r"--data\.tokenizer must be one of char, word, bpe, not letters"),
        ("model.dept", 6, r"no setting --model\.dept; did you mean --model\.depth\?"),
        ("depth", 6, r"did you mean --model\.depth\?"),
        ("loss.gamma", 1, "no setting --loss.gamma"),
        ("model.depth", 0, "--model.depth must lie between 1 and 512, not 0"),
        ("model.depth", "six", "--model.depth takes a whole number, not 'six'"),
        ("model.depth", 2.5, "--model.depth takes a whole number"),
        ("model.depth", True, "--model.depth takes a whole number"),
        ("model.rotary", "maybe", "--model.rotary takes true or false"),
        ("loss.name", "relativist", "did you mean relativistic"),
        ("model.num_heads", 3, r"--model\.num_heads must divide --model\.width 128"),
        ("train.micro_batch_size", 7, r"must divide --train\.batch_size 64"),
        ("loss.r1", "nan", "--loss.r1 takes a number"),
        ("loss.r1", "Infinity", "--loss.r1 takes a number"),
        ("optim.lr", -1, "--optim.lr must lie"),
        ("model", 3, "no setting --model"),
    ],
)
def test_errors_say_what_to_type(name, value, message):
    with pytest.raises(ConfigError, match=message) as caught:
        Config().replace({name: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"loss.penalty": "exact", "loss.epsilon": 0.1},
        {"optim.decay": "constant", "optim.final_lr": 0.5},
        {"data.labels": "l.csv", "data.conditional": False},
        {"model.stem": 0, "model.stem_channels": 32},
        {"model.stem": 2, "model.discriminator_stem": 0, "model.fourier": 1.0},
        {"model.stem": 0, "model.discriminator_stem": 1, "model.fourier": 1.0},
        {"model.positions": "none", "model.rotary": False},
        {"model.stem": 2, "model.fourier": 1.0},
        {"loss.final_noise": 0.1},
        {"loss.r1": 0, "loss.r2": 0, "loss.final_gamma": 0.1},
        {"loss.penalty": "exact", "train.compile": True},
        {"loss.energy": 0.3, "train.batch_size": 1},
    ],
)
def test_settings_without_effect_are_refused(changes):
    with pytest.raises(ConfigError):
        Config().replace(changes)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    ),
    st.sampled_from([row[0] for row in describe()]),
)
def test_any_value_is_taken_or_refused_in_one_line(value, name):
    section, field = name.split(".")
    for values in ({section: {field: value}}, {section: value}, value):
        try:
            config = Config.from_dict(values)
        except ConfigError as error:
            message = str(error)
        else:
            message = json.dumps(config.to_dict(), allow_nan=False)
        assert "\n" not in message


def test_length_and_intervals_may_change_and_nothing_else():
    config = Config()
    longer = config.replace({"train.num_samples": 1, "train.checkpoint_every": 5, "train.device": "cpu"})
    assert differences(config, longer) == {}
    assert differences(config, config.replace({"train.seed": 1, "optim.lr": 0.1})) == {
        "train.seed": (0, 1),
        "optim.lr": (1e-3, 0.1),
    }


def test_every_setting_is_documented():
    for name, kind, _, text in describe():
        assert len(text) > 5, name
        assert kind
    names = {f"{s.name}.{f.name}" for s in dataclasses.fields(Config) for f in dataclasses.fields(s.default)}
    assert names == {row[0] for row in describe()}


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Config().model.depth = 3


@pytest.mark.parametrize(
    "shape",
    [
        *((1, 2), (6, 24), (13, 29), (1, 1021), (1, 1024)),
        *((1, 28, 28), (3, 64, 64), (4, 30, 50), (3, 37, 50)),
        *((1, 16, 64, 64), (3, 5, 9, 15), (3, 15, 31, 33)),
    ],
)
def test_there_is_a_preset_for_any_shape_that_makes_networks(shape):
    config = presets.preset_for(shape, "XS")
    networks = Networks(config, spec_of(shape))
    tokens = networks.generator(torch.randn(2, networks.generator.z_size))
    assert networks.codec.decode(tokens).shape == (2, *shape)
    assert networks.discriminator(tokens).shape == (2,)
    assert networks.generator.num_tokens <= 128


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
    assert presets.preset_for((2, 24)).codec.name == "whitened"
    assert presets.preset_for((2, 24), masked=True).codec.name == "patch"
    assert presets.preset_for((2, 5000)).codec.name == "patch"


def test_sines_are_made_of_few_components():
    assert presets.sines(24).codec.components == 5
    assert presets.sines(3).codec.components == 3
    assert presets.sines(256).codec.components == 12
    assert presets.sines(5000).codec.components is None
