"""Files that run without Sparring make the samples that PyTorch makes, of every kind."""

import json
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

import sparring
from sparring import cli
from sparring.build import Networks, build
from sparring.config import Config, ConfigError
from sparring.data.channels import Channels
from sparring.data.conditions import condition_from_dict
from sparring.data.spec import DataSpec
from sparring.data.vocabulary import END
from sparring.export import OPSET, Sampler, difference, export
from sparring.pretrained import GAN
from sparring.privacy import without_paths
from sparring.training.run import train

from small_gans import KINDS, SMALL, gan_of


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_exported_is_what_decode_gives(kind):
    gan, sampler = gan_of(kind), Sampler(gan_of(kind))
    inputs = sampler.inputs(5)
    for psi in (1.0, 0.6):
        samples = sampler(**inputs | {"truncation_psi": torch.full((5,), psi)})
        finished = gan.spec.vocabulary.decode(samples) if gan.spec.vocabulary else samples
        expected = gan.decode(inputs["z"], inputs.get("condition", torch.zeros(5, dtype=torch.long)), psi)
        if gan.spec.vocabulary:
            assert finished == expected
            assert len(set(finished)) > 1
        else:
            torch.testing.assert_close(finished, expected, rtol=1e-4, atol=1e-4, equal_nan=True)


@pytest.mark.parametrize("kind", KINDS)
def test_onnx_makes_the_same_samples_for_any_batch(kind, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    gan = gan_of(kind)
    written = export(gan, tmp_path / "model.onnx", licence="CC0-1.0")
    assert written.difference < 1e-4
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    sampler = Sampler(gan)
    for num in (1, 3, 7):
        inputs = sampler.inputs(num, seed=num)
        (found,) = session.run(None, {name: value.numpy() for name, value in inputs.items()})
        np.testing.assert_allclose(found, sampler(**inputs).numpy(), rtol=1e-4, atol=1e-3)
    facts = session.get_modelmeta().custom_metadata_map
    assert facts["licence"] == "CC0-1.0"
    assert json.loads(facts["sample_shape"]) == list(gan.spec.sample_shape)
    assert condition_from_dict(json.loads(facts["condition"])) == gan.spec.condition
    assert Config.from_dict(json.loads(facts["config"])) == without_paths(gan.config)
    assert DataSpec.from_dict(json.loads(facts["data"])) == gan.spec


@pytest.mark.parametrize("kind", ["clips"])
def test_half_precision_is_half_as_large_and_nearly_the_same(kind, tmp_path):
    pytest.importorskip("onnxruntime")
    gan = gan_of(kind)
    whole = export(gan, tmp_path / "whole.onnx")
    half = export(gan, tmp_path / "half.onnx", precision="float16")
    assert half.size < 0.8 * whole.size
    assert 1e-6 < half.difference < 2e-2


@pytest.mark.parametrize("kind", KINDS)
def test_pt2_makes_the_same_samples(kind, tmp_path):
    gan = gan_of(kind)
    written = export(gan, tmp_path / "model.pt2")
    assert written.difference < 1e-4
    facts = {"sample_shape": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=facts).module()
    assert json.loads(facts["sample_shape"]) == list(gan.spec.sample_shape)
    inputs = Sampler(gan).inputs(3)
    torch.testing.assert_close(program(**inputs), Sampler(gan)(**inputs), rtol=1e-4, atol=1e-4, equal_nan=True)


def test_exported_texts_end_where_they_do_in_pytorch(tmp_path):
    gan = gan_of("texts")
    gan.codec.symbols.weight[END] *= 2
    sampler = Sampler(gan)
    inputs = sampler.inputs(64)
    symbols = sampler(**inputs)
    ended = (symbols == END).cumsum(1) > 0
    assert 0 < ended.sum() < ended.numel()
    assert (symbols[ended] == END).all()
    export(gan, tmp_path / "model.pt2")
    assert torch.equal(torch.export.load(tmp_path / "model.pt2").module()(**inputs), symbols)


@pytest.mark.parametrize("kind", KINDS)
def test_another_gan_is_seen_to_be_another(kind):
    sampler = Sampler(gan_of(kind))

    def other(inputs):
        return sampler(**inputs | {"z": -inputs["z"]})

    assert difference(sampler, lambda inputs: sampler(**inputs)) == 0
    assert difference(sampler, other) > 0.02


@pytest.mark.parametrize("suffix", [".onnx", ".pt2"])
def test_nobodys_paths_are_in_the_file(suffix, tmp_path):
    pytest.importorskip("onnxruntime")
    gan = gan_of("pictures")
    gan = GAN(gan.config.replace({"data.path": "/home/someone/secret/shapes"}), gan.spec, Networks(
        gan.codec, gan.generator, gan.critics))  # fmt: skip
    export(gan, tmp_path / f"model{suffix}")
    content = (tmp_path / f"model{suffix}").read_bytes()
    if suffix == ".pt2":
        with zipfile.ZipFile(tmp_path / "model.pt2") as archive:
            content = b"".join(archive.read(name) for name in archive.namelist())
    assert b"shapes" in content
    for place in (b"/home/", str(Path(sparring.__file__).parent).encode(), b"site-packages"):
        assert place not in content


def test_a_small_channel_counts_as_much_as_a_large_one():
    spec = DataSpec((2, 12), channels=Channels(("price", "volume"), (100.0, 1e7), (10.0, 1e6)), modality="series")
    config = Config().replace(SMALL | {"codec.patch_size": 4})
    torch.manual_seed(0)
    sampler = Sampler(GAN(config, spec, build(config, spec)))

    def without_price(inputs):
        return sampler(**inputs) * torch.tensor([0.0, 1.0])[:, None]

    assert difference(sampler, without_price) > 1


def test_a_good_file_stays_where_a_new_one_cannot_be_checked(tmp_path, monkeypatch):
    pytest.importorskip("onnxscript")
    (tmp_path / "model.onnx").write_bytes(b"good")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match="sparring\\[export"):
        export(gan_of("pictures"), tmp_path / "model.onnx")
    assert (tmp_path / "model.onnx").read_bytes() == b"good"


def test_the_command(tiny, shapes, tmp_path, capsys, monkeypatch):
    pytest.importorskip("onnxruntime")
    train(tiny, tmp_path / "run", dataset=shapes)
    monkeypatch.chdir(tmp_path)
    before = sparring.load("run").sample(2)
    assert cli.main(["export", "run", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["out"] == "run.onnx"
    assert facts["opset"] == OPSET
    assert facts["apart_from_pytorch"] < 1e-4
    assert facts["bytes"] == (tmp_path / "run.onnx").stat().st_size
    for words, saying in (
        (["--out", "model.bin"], "must end in .onnx or .pt2"),
        (["--format", "pt2", "--precision", "float16"], "drop --precision"),
        (["--format", "pt2", "--out", "a.onnx"], "does not end in .pt2"),
    ):
        assert cli.main(["export", "run", *words]) == 2
        assert saying in capsys.readouterr().err
    assert torch.equal(sparring.load("run").sample(2), before)
