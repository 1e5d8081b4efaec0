"""Fine-tuning: `--from RUN`."""

import dataclasses
import json

import pytest
import torch
from PIL import Image

from sparring import cli
from sparring.config import ConfigError
from sparring.files import load_tensors
from sparring.pretrained import read_config
from sparring.training.run import train

from command_line import fails

LATENT = {"codec.name": "autoencoder", "codec.latents": 4, "codec.latent_dim": 4, "codec.width": 16, "codec.depth": 1,
          "codec.num_samples": 32, "codec.batch_size": 8, "train.evaluate_every": 0}  # fmt: skip


@pytest.fixture
def first(tiny, shapes, tmp_path):
    train(tiny, tmp_path / "first", dataset=shapes)
    return tmp_path / "first"


def begun(config, folder, dataset, **changes):
    """Starts a run, which stops at its first step; returns its first state and its log."""
    said = []

    def stop(progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config.replace({"train.init_from": "", **changes}), folder, dataset=dataset, report=stop, log=said.append)
    return load_tensors(sorted((folder / "checkpoints").iterdir())[0])[0], said


def model(folder):
    return load_tensors(folder / "model.safetensors")[0]


def same_network(state, weights, theirs, ours):
    found = {name.removeprefix(theirs): value for name, value in weights.items() if name.startswith(theirs)}
    assert found
    return all(torch.equal(state[ours + name], value) for name, value in found.items())


def test_starts_from_generator_and_critics_with_fresh_optimisers(tiny, shapes, first, tmp_path):
    state, said = begun(tiny, tmp_path / "second", shapes, **{"train.init_from": str(first)})
    for theirs, ours in (("generator.", "generator."), ("generator.", "ema."), ("critics.", "critics.")):
        assert same_network(state, model(first), theirs, ours)
    assert not any(name.startswith("optimizer.") for name in state)
    assert f"starts from the weights of {first}" in said


def test_the_codec_is_taken_over_and_not_trained_again(tiny, shapes, tmp_path):
    config = tiny.replace(LATENT)
    train(config, tmp_path / "first", dataset=shapes)
    fine = config.replace({"train.init_from": str(tmp_path / "first"), "train.num_samples": 32})
    train(fine, tmp_path / "second", dataset=shapes)
    assert same_network(model(tmp_path / "second"), model(tmp_path / "first"), "codec.", "codec.")
    assert not same_network(model(tmp_path / "second"), model(tmp_path / "first"), "generator.", "generator.")
    rows = [json.loads(line) for line in (tmp_path / "second/metrics.jsonl").read_text().splitlines()]
    assert [row["samples_seen"] for row in rows] == [8, 16, 24, 32]
    train(fine.replace({"train.num_samples": 48}), tmp_path / "second", dataset=shapes)  # and it is resumed
    assert same_network(model(tmp_path / "second"), model(tmp_path / "first"), "codec.", "codec.")


def test_other_classes_start_fresh_and_the_log_says_so(tiny, shapes, first, tmp_path):
    others = dataclasses.replace(shapes, classes=torch.arange(40) % 3, class_names=["a", "b", "c"])
    state, said = begun(tiny, tmp_path / "second", others, **{"train.init_from": str(first)})
    weights = model(first)
    assert torch.equal(state["generator.scale.weight"], weights["generator.scale.weight"])
    assert any("tensors, which do not fit" in line for line in said)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"codec.patch_size": 2}, r"has another codec \(patch\): drop the changes to --codec"),
    ],
)
def test_settings_that_do_not_fit_are_refused(tiny, shapes, first, tmp_path, changes, says):
    with pytest.raises(ConfigError, match=says):
        train(tiny.replace({"train.init_from": str(first), **changes}), tmp_path / "second", dataset=shapes)


def test_other_samples_are_refused(tiny, shapes, first, tmp_path):
    larger = dataclasses.replace(shapes, sample_shape=(1, 12, 12), samples=torch.zeros(40, 1, 12, 12))
    with pytest.raises(ConfigError, match=r"makes image samples of shape \(1, 8, 8\), and .* \(1, 12, 12\)"):
        train(tiny.replace({"train.init_from": str(first)}), tmp_path / "second", dataset=larger)


# ---- the command line -----------------------------------------------------------------------------------------------


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(12):
        Image.new("L", (8, 8), 20 * index).save(folder / f"{index}.png")
    return folder


def test_the_command_takes_the_settings_of_the_run(tiny, first, pictures, tmp_path, capsys):
    words = ["train", str(pictures), "--from", str(first), "--num-samples", "16", "--out", str(tmp_path / "second")]
    assert cli.main(words) == 0
    config, spec = read_config(tmp_path / "second")
    assert config.model == tiny.model
    assert config.train.num_samples == 16
    assert config.train.init_from == str(first)
    assert spec.num_classes == 0
    assert cli.main(words) == 0  # resumes, and is finished
    assert "resumed" in capsys.readouterr().err


def test_options_without_effect_are_refused(first, pictures, capsys):
    fails(capsys, "train", pictures, "--from", first, "--preset", "images", saying="--preset has no effect with --from")
    fails(capsys, "train", pictures, "--from", first, "--size", "S", saying="--size has no effect with --from")
    fails(capsys, "train", pictures, "--from", pictures, saying="is not a run folder")
    fails(capsys, "train", pictures, "--from", "nobody here", saying="nobody here does not exist")
