import json
import subprocess
import sys
import typing

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparring.codecs.settings import CODECS
from sparring.config import Config, ConfigError, DataConfig, ModelConfig, describe, differences
from sparring.critics.settings import VIEWS, FramesSettings
from sparring.losses import LOSSES


def test_json_round_trip():
    config = Config().replace(
        {"model.depth": 6, "data.labels": "labels.csv", "critics.0.depth": 2, "critics.1.view": "frames"}
    )
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


@pytest.mark.parametrize("name", CODECS)
def test_every_codec_survives_json(name):
    config = Config().replace({"codec.name": name})
    assert type(config.codec) is CODECS[name]
    assert Config.from_dict(json.loads(json.dumps(config.to_dict()))) == config


def test_text_is_read_by_the_field_s_type():
    config = Config().replace(
        {
            "model.depth": "6",
            "train.num_samples": "1e6",
            "model.rotary": "False",
            "data.frames": "none",
            "loss.r1": "2",
            "data.path": "3",
        }
    )
    assert (config.model.depth, config.train.num_samples, config.loss.r1) == (6, 1_000_000, 2.0)
    assert config.model.rotary is False
    assert config.data.frames is None
    assert config.data.path == "3"
    assert Config().replace({"train.num_samples": "200_000"}).train.num_samples == 200_000


def choices():
    """Every setting that is one of a few words, and each of them."""
    for section, field in Config.model_fields.items():
        for name, inner in getattr(type(field.default), "model_fields", {}).items():
            for part in (inner.annotation, *typing.get_args(inner.annotation)):
                if section != "codec" and typing.get_origin(part) is typing.Literal:
                    yield from ((f"{section}.{name}", word) for word in typing.get_args(part))
    yield from (("codec.name", name) for name in CODECS)
    yield from (("loss.name", name) for name in LOSSES)
    yield from (("critics.0.view", name) for name in VIEWS)


@pytest.mark.parametrize(("name", "word"), list(choices()))
def test_every_word_that_is_offered_is_taken(name, word):
    assert Config().replace({name: word}).flat()[name] == word


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
        ("model.depth", "[1]", r"--model\.depth takes a whole number, not '\[1\]'"),
        ("model.depth", "null", "--model.depth takes a whole number, not 'null'"),
        ("loss.r1", "{}", "--loss.r1 takes a number"),
        ("model.depth", "[" * 100_000, "--model.depth takes a whole number"),
        ("model.depth", "99999999999999999999999", "--model.depth must lie between 1 and 512"),
        ("data.frames", "many", r"--data\.frames takes a whole number \| none, not 'many'"),
        ("loss.final_noise", 0.1, r"--loss\.final_noise must lie between 0 and --loss\.instance_noise 0"),
        ("codec.name", "patches", r"--codec\.name must be one of patch, .* \(did you mean patch\?\); .* registers it"),
        ("codec.whiten", 0.5, r"--codec\.whiten has no effect with --codec\.name patch: drop it, or set .* whitened"),
        ("codec.pach_size", 2, r"no setting --codec\.pach_size; did you mean --codec\.patch_size"),
        ("critics.0.view", "farmes", "did you mean frames"),
        ("critics.0.frames", 4, r"no effect with --critics\.0\.view whole: drop it, or set --critics\.0\.view frames"),
        ("critics.0.dept", 4, r"did you mean --critics\.0\.depth"),
        ("critics.1.frames", 4, r"--critics\.1\.frames has no effect with --critics\.1\.view whole"),
        ("critics.2.view", "whole", r"there is no --critics\.1 yet: set --critics\.1\.view first"),
        ("critics.view", "whole", r"did you mean --critics\.0\.view"),
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
        {"data.labels": "l.csv", "data.conditional": False},
        {"model.stem": 2, "critics.0.stem": 0, "model.fourier": 1.0},
        {"model.stem": 0, "critics.0.stem": 1, "model.fourier": 1.0},
        {"codec.name": "whitened", "augment.probability": 0.5},
        {"codec.name": "autoencoder", "augment.flip": True},
        {"codec.name": "text", "codec.patch_size": 2},
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
    section, field = name.split(".", 1)
    values = {"codec": {field: value}, "critics": [{field[2:]: value}]}.get(section, {field: value})
    for settings in ({section: values}, {section: value}, value):
        try:
            config = Config.from_dict(settings)
        except ConfigError as error:
            message = str(error)
        else:
            message = json.dumps(config.to_dict(), allow_nan=False)
        assert "\n" not in message


def test_sections_made_by_hand_are_checked_as_well():
    with pytest.raises(ConfigError, match=r"--model\.depth must lie between 1 and 512, not 0"):
        ModelConfig(depth=0)
    with pytest.raises(ConfigError, match=r"no setting --data\.pth; did you mean --data\.path"):
        DataConfig(pth="digits")
    with pytest.raises(ConfigError, match=r"--critics\.1\.frames must lie between 2 and 4096, not 1"):
        Config.from_dict({"critics": [{}, {"view": "frames", "frames": 1}]})
    with pytest.raises(ConfigError, match=r"--critics\.0\.view"):
        Config(critics=())


def test_another_codec_keeps_what_was_set_and_still_has_a_meaning():
    config = Config().replace({"codec.name": "autoencoder", "codec.width": 64, "codec.patch_size": 2, "codec.stem": 1})
    text = config.replace({"codec.name": "text"}).codec
    assert (text.width, text.latents) == (64, 4)
    assert config.replace({"codec.name": "patch"}).codec.patch_size == 2
    assert config.replace({"codec.name": "autoencoder"}) == config


def test_critics_are_named_by_their_number():
    config = Config().replace({"critics.0.stem": 1, "critics.1.view": "frames", "critics.1.frames": "8"})
    assert config.critics[1] == FramesSettings(frames=8)
    assert config.stems == (0, 1, 0)
    frames = config.replace({"critics.0.view": "frames"}).critics[0]
    assert (frames.stem, frames.frames) == (1, 4)


def test_the_samples_of_a_codec_s_training_count():
    assert Config().codec_samples == 0
    assert Config().replace({"codec.name": "text", "codec.num_samples": 9}).codec_samples == 9


def test_length_and_intervals_may_change_and_nothing_else():
    config = Config()
    longer = config.replace({"train.num_samples": 1, "train.checkpoint_every": 5, "train.device": "cpu"})
    assert differences(config, longer) == {}
    assert differences(config, config.replace({"train.seed": 1, "optim.lr": 0.1})) == {
        "train.seed": (0, 1),
        "optim.lr": (1e-3, 0.1),
    }


def test_runs_with_another_codec_differ():
    changed = differences(Config(), Config().replace({"codec.name": "whitened", "train.tensorboard": True}))
    assert changed["codec.name"] == ("patch", "whitened")
    assert changed["codec.whiten"] == (None, 0.3)
    assert "train.tensorboard" not in changed


def test_every_setting_is_documented():
    for name, kind, _, text in describe():
        assert len(text) > 5, name
        assert kind
    described = {row[0] for row in describe()}
    for codec in CODECS:
        for view in VIEWS:
            assert set(Config().replace({"codec.name": codec, "critics.0.view": view}).flat()) <= described
    (latents, text_latents) = (row for row in describe() if row[0] == "codec.latents")
    assert latents[3].endswith("(autoencoder, components)")
    assert text_latents[3].endswith("(text)")


def test_settings_are_frozen():
    with pytest.raises(pydantic.ValidationError, match="frozen"):
        Config().model.depth = 3


def test_settings_are_read_without_torch():
    code = "import sys, sparring.presets as p; p.digits(); p.names(); print('torch' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"
