import json
import subprocess
import sys

import pytest
import torch

from sparring.build import build
from sparring.config import Config, ConfigError
from sparring.data.dataset import DataError, TensorDataset
from sparring.data.spec import DataSpec
from sparring.files import CheckpointError
from sparring.metrics import metric as metrics
from sparring.metrics.metric import Extra, Metric, register_metric
from sparring.metrics.scores import SCORES, Score
from sparring.modalities import registry
from sparring.modalities.image.display import ImageDisplay
from sparring.modalities.image.modality import Image
from sparring.modalities.metrics import evaluate, metric_for
from sparring.modalities.opening import Opening
from sparring.modalities.registry import MODALITIES, modality_of, open_dataset, register_modality
from sparring.pretrained import load
from sparring.training.run import train

from small_gans import KINDS
from specs import spec_of


def test_modalities_are_listed_without_pytorch():
    code = "import sys, sparring.modalities.registry; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("name", registry.built_in_names())
def test_what_is_built_in_says_what_it_is(name):
    dataset = open_dataset(name)
    modality = modality_of(dataset)
    assert name in modality.opening.built_in
    assert len(dataset.sample_shape) == modality.axes
    spec = DataSpec.of(dataset)
    samples = dataset.batch(torch.arange(3))[0]
    back = modality.to_model(modality.to_user(samples, spec), spec)
    torch.testing.assert_close(back, samples, rtol=1e-4, atol=1e-4)
    assert modality.adapted(modality.to_user(samples, spec), spec, spec).shape == samples.shape


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_stores_its_modality(kind):
    spec = KINDS[kind][0]
    assert DataSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_an_unknown_modality_and_facts_that_do_not_go_with_it_are_refused():
    with pytest.raises(ConfigError, match=r"no modality 'tabel' among .*image.*: import the module"):
        modality_of(DataSpec((3, 8, 8), modality="tabel"))
    for shape, modality in (((3, 8, 8), "text"), ((3,), "text"), ((3, 8), "image")):
        with pytest.raises(ConfigError, match=r"axes|does not fit"):
            build(Config(), DataSpec(shape, modality=modality))


@pytest.mark.parametrize("shape", [(2, 9), (3, 8, 8), (1, 4, 8, 8)])
def test_what_is_missing_counts_as_a_difference(shape):
    """An export that gives NaN is not let pass."""
    modality, samples = modality_of(spec_of(shape)), torch.rand(4, *shape)
    assert modality.difference(samples, samples) == 0
    assert modality.difference(samples, samples.masked_fill(samples > 0.5, torch.nan)) > 0.2


class Brightness(Metric):
    def __init__(self, dataset, count):
        self.count = count or 5
        self.real = dataset.batch(torch.arange(self.count))[0].mean().item()

    def __call__(self, sample):
        return {"brightness": sample(self.count)[0].mean().item(), "brightness_floor": self.real}


class OfShapes(Extra):
    name = "brightness"
    scores = (Score("brightness", "mean of all pixels", "as real"),)

    def applies(self, dataset):
        return dataset.name == "shapes"

    def make(self, dataset, count):
        return Brightness(dataset, count)


@pytest.fixture
def brightness(monkeypatch):
    monkeypatch.setattr(metrics, "EXTRAS", dict(metrics.EXTRAS))
    register_metric(OfShapes())
    yield
    del SCORES["brightness"]


def test_a_metric_that_is_registered_is_measured_beside_the_modality_s_own(brightness, tiny, shapes, tmp_path):
    def sample(num):
        return shapes.batch(torch.arange(num))[0], None

    scores = evaluate(shapes, sample, report=print)
    assert {"frechet", "brightness", "brightness_floor"} <= scores.keys()
    alone = evaluate(shapes, sample, metrics=["brightness"], report=print)
    assert "frechet" not in alone
    assert alone["brightness"] == scores["brightness"]
    assert "brightness" not in evaluate(shapes, sample, metrics=["frechet"], report=print)
    with pytest.raises(DataError, match=r"choose among frechet, .*, brightness$"):
        evaluate(shapes, sample, metrics=["brigthness"], report=print)
    assert metric_for(shapes)(sample).keys() >= {"frechet", "brightness"}
    train(tiny.replace({"train.evaluate_every": 64}), tmp_path / "run", dataset=shapes)
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert "brightness" in rows[-1]
    other = open_dataset("rings")
    assert "brightness" not in metric_for(other)(lambda num: (other.samples[:num], None))


class NegativeOpening(Opening):
    own = effective = ("resolution",)

    def claims(self, path, options):
        return path.endswith(".negative")

    def open(self, path, options, *, conditional, memory_limit):
        samples = torch.rand(20, 1, 8, 8) * 2 - 1
        return TensorDataset(
            name=path, modality="negative", sample_shape=(1, 8, 8), classes=torch.zeros(20, dtype=torch.int64),
            class_names=[], fingerprint=path, value_range="", samples=samples,
        )  # fmt: skip


class Negative(Image):
    name, kind = "negative", "negatives"
    opening = NegativeOpening()

    @property
    def display(self):
        return ImageDisplay(self.kind)

    def to_user_tensor(self, samples, spec):
        return -super().to_user_tensor(samples, spec)


def test_a_modality_of_a_plug_in_is_opened_trained_and_loaded(tiny, tmp_path):
    known = dict(MODALITIES)
    register_modality(Negative())
    try:
        (tmp_path / "some.negative").write_text("")
        dataset = open_dataset(str(tmp_path / "some.negative"), resolution=8)
        with pytest.raises(DataError, match=r"--data\.labels has no effect on negatives"):
            open_dataset(str(tmp_path / "some.negative"), labels="x.csv")
        config = tiny.replace({"train.evaluate_every": 0, "train.num_samples": 16})
        train(config, tmp_path / "run", dataset=dataset)
        gan = load(tmp_path / "run", "cpu")
        assert gan.modality.kind == "negatives"
        z = torch.zeros(1, gan.generator.z_size)
        made = gan.decode(z, torch.zeros(1, dtype=torch.long))
    finally:
        MODALITIES.clear()
        MODALITIES.update(known)
    with pytest.raises(CheckpointError, match=r"no modality 'negative'"):
        load(tmp_path / "run", "cpu")
    assert made.shape == (1, 1, 8, 8)
