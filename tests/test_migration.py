import copy
import json
from pathlib import Path

import pytest

import sparring
from sparring.config import Config, ConfigError
from sparring.files import CheckpointError
from sparring.migration import FORMAT, migrated

RUNS = Path(sparring.__file__).parent / "runs"


def old(name):
    """`config.json` of a run of format 1 or 3 that comes with the package."""
    return json.loads((RUNS / name / "config.json").read_text())


def changed(name, version=None, **settings):
    values = old(name)
    values["format"] = version or values["format"]
    for full, value in settings.items():
        section, _, field = full.partition("__")
        values["config"][section][field] = value
    return values


@pytest.mark.parametrize(
    ("name", "modality", "codec"),
    [
        ("digits", "image", {"name": "patch", "patch_size": 1}),
        ("sines", "series", {"name": "components", "components": 5, "latent_dim": 8, "num_samples": 120_000}),
        ("names", "text", {"name": "text", "latents": 2, "noise": 0.7, "width": 96}),
        ("bouncing", "video", {"name": "autoencoder", "latents": 4, "patch_frames": 2, "stem": 1, "depth": 1}),
    ],
)
def test_shipped_runs_are_read(name, modality, codec):
    values = old(name)
    before = copy.deepcopy(values)
    after = migrated(values)
    assert values == before
    assert (after["format"], after["data"]["modality"]) == (FORMAT, modality)
    config = Config.from_dict(after["config"])
    assert codec.items() <= config.codec.to_dict().items()
    assert [critic.view for critic in config.critics] == ["whole"]
    assert migrated({"format": FORMAT, "config": config.to_dict(), "data": after["data"]})["config"] == config.to_dict()
    kept = {n: v for n, v in config.flat().items() if not n.startswith(("codec.", "critics.")) and v is not None}
    for full, value in kept.items():
        section, _, field = full.partition(".")
        assert before["config"][section].get(field, value) == value


def test_the_discriminator_s_own_depth_and_stem_go_to_its_critic():
    values = changed("digits", model__discriminator_depth=3, model__discriminator_stem=1)
    critic = Config.from_dict(migrated(values)["config"]).critics[0]
    assert (critic.depth, critic.stem) == (3, 1)


def test_points_are_no_pictures():
    values = changed("digits", model__bounded=False, model__stem=0, model__stem_channels=None)
    values["data"] |= {"sample_shape": [2, 1, 1], "class_names": []}
    assert migrated(values)["data"]["modality"] == "points"


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("digits", {"codec__overlap": 1}, r"c\.json has --codec\.overlap 1, which is 0 in every run"),
        ("bouncing", {"codec__seen_frames": 4}, r"--codec\.seen_frames 4, which is none"),
        (
            "bouncing",
            {"codec__name": "layers", "version": 5},
            r"c\.json has the codec layers, which sparring no longer has",
        ),
        ("names", {"codec__name": "embedding"}, "the codec embedding, which sparring no longer has"),
        ("names", {"codec__soft": True}, "--codec.soft True, which is false"),
        ("bouncing", {"codec__stem_channels": 16}, "--codec.stem_channels 16, which is 32"),
        ("digits", {"model__stem_channels": 32}, "--model.stem_channels 32, which is 16"),
        ("digits", {"model__bounded": False}, "--model.bounded False, which is true"),
        ("sines", {"model__mlp_ratio": 4.0}, "--model.mlp_ratio 4.0, which is 2.6"),
        ("sines", {"loss__transport": 0.5}, "--loss.transport 0.5, which is 0.0"),
        ("sines", {"optim__clip": 1.0}, "--optim.clip 1.0, which is none"),
        ("bouncing", {"version": 2}, r"c\.json is from an older sparring; this one would make other samples"),
        ("digits", {"version": 1}, "older sparring; this one would make other samples"),
    ],
)
def test_runs_that_would_not_be_the_same_are_refused_in_one_line(name, settings, says):
    with pytest.raises(CheckpointError, match=f"{says}.*: train it anew, into another folder$") as caught:
        migrated(changed(name, **settings), "c.json")
    assert "\n" not in str(caught.value)


def test_series_of_unequal_length_of_format_1_are_refused():
    values = changed("sines", version=1)
    migrated(values)
    values["data"]["channels"]["masked"] = True
    with pytest.raises(CheckpointError, match="would make other samples"):
        migrated(values)


def test_settings_without_effect_are_dropped():
    values = changed("digits", train__keep_checkpoints=9, codec__layers=2, codec__glimpses=0, codec__stem_channels=16)
    assert Config.from_dict(migrated(values)["config"]) == Config.from_dict(migrated(old("digits"))["config"])


def test_a_newer_format_says_what_to_do():
    with pytest.raises(CheckpointError, match=r"c\.json has format 7; this version reads 6: update sparring"):
        migrated({"format": 7}, "c.json")


def test_settings_that_never_were_are_still_refused():
    with pytest.raises(ConfigError, match=r"no setting --codec\.seen_scale"):
        Config.from_dict(migrated(changed("digits", codec__seen_scale=2))["config"])
