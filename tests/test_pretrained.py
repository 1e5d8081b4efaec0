import json
import struct

import pytest
import torch
from safetensors import safe_open

import sparring
from sparring.config import ConfigError
from sparring.files import CheckpointError
from sparring.training.run import train


@pytest.fixture
def run(tiny, shapes, tmp_path):
    train(tiny, tmp_path / "run", dataset=shapes)
    return tmp_path / "run"


def test_sample_shapes_range_and_classes(run):
    gan = sparring.load(run, "cpu")
    assert gan.class_names == ("left", "right")
    samples = gan.sample(5, seed=1, condition="left")
    assert samples.shape == (5, 1, 8, 8)
    assert samples.dtype == torch.float32
    assert samples.abs().max() <= 1
    assert torch.equal(samples, gan.sample(5, seed=1, condition=[0] * 5))
    assert not torch.equal(samples, gan.sample(5, seed=1, condition=1))
    assert not torch.equal(samples, gan.sample(5, seed=2, condition=0))
    with pytest.raises(ConfigError, match="no class 2"):
        gan.sample(1, condition=2)


def test_a_sample_depends_on_seed_and_place_alone(run):
    gan = sparring.load(run, "cpu")
    many = gan.sample(10, seed=4)
    torch.testing.assert_close(gan.sample(10, seed=4, batch_size=3), many)
    torch.testing.assert_close(gan.sample(4, seed=4), many[:4])


def test_truncation_brings_samples_together(run):
    gan = sparring.load(run, "cpu")
    spread = [gan.sample(32, condition=0, truncation_psi=psi).std(0).mean() for psi in (1.0, 0.5, 0.0)]
    assert spread[0] > spread[1] > spread[2]
    assert spread[2] < 1e-6


def test_rejection_keeps_what_the_discriminator_believes_most(run):
    gan = sparring.load(run, "cpu")

    def believed(samples, labels):
        return gan.critics[0](samples, labels).mean()

    labels = torch.tensor([0, 1] * 16)
    kept = gan.sample(32, condition=labels, reject=0.75)
    assert believed(kept, labels) > believed(gan.sample(32, condition=labels), labels)
    torch.testing.assert_close(gan.sample(5, condition=labels[:5], reject=0.75, batch_size=2), kept[:5])
    with pytest.raises(ConfigError, match=r"0\.5, 0\.67, 0\.75"):
        gan.sample(2, reject=1.0)
    with pytest.raises(ConfigError, match=r"not 0\.2"):
        gan.sample(2, reject=0.2)


def test_interpolation_is_a_closed_walk(run):
    gan = sparring.load(run, "cpu")
    walk = torch.stack(gan.interpolate(24, num=2, condition=0))
    assert walk.shape == (24, 2, 1, 8, 8)
    steps = (walk - walk.roll(1, 0)).flatten(2).norm(dim=2)
    assert steps[0].max() < 2 * steps.max()
    assert (walk - walk[0]).abs().max() > steps.max() / 8


def test_weights_carry_their_config(run):
    with safe_open(run / "model.safetensors", framework="pt") as file:
        inside = json.loads(file.metadata()["sparring"])
    assert len(inside.pop("digest")) == 32
    assert inside == json.loads((run / "config.json").read_text())


def test_nothing_is_pickled(run):
    for path in run.rglob("*"):
        assert path.suffix in ("", ".json", ".jsonl", ".safetensors", ".png", ".txt")


def test_a_config_that_asks_for_more_than_the_file_holds_allocates_nothing(run):
    config = json.loads((run / "config.json").read_text())
    config["config"]["model"] |= {"width": 16_384, "depth": 512}  # 1.6 trillion weights
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError, match="does not fit"):
        sparring.load(run)


@pytest.mark.parametrize("shape", [[2**31, 2**31], [1, 10**9, 10**9]])
def test_an_endless_sample_shape_is_refused(run, shape):
    config = json.loads((run / "config.json").read_text())
    config["data"]["sample_shape"] = shape
    (run / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckpointError):
        sparring.load(run)


def test_a_header_larger_than_the_file_is_refused(run):
    path = run / "model.safetensors"
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    name = next(n for n in header if n != "__metadata__")
    header[name]["shape"] = [10**12]
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    with pytest.raises(CheckpointError, match="damaged"):
        sparring.load(run)
    path.write_bytes(struct.pack("<Q", 2**60) + content[8:])
    with pytest.raises(CheckpointError, match="damaged"):
        sparring.load(run)


@pytest.mark.parametrize("shape", [[["x"], 10**8], [-1], [2.0], ["4"], [None]], ids=str)
def test_a_shape_that_is_no_shape_is_refused(run, shape):
    """A list times a number is a long list."""
    file = run / "model.safetensors"
    content = file.read_bytes()
    length = struct.unpack("<Q", content[:8])[0]
    header = json.loads(content[8 : 8 + length])
    header[next(n for n in header if n != "__metadata__")]["shape"] = shape
    text = json.dumps(header).encode()
    file.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    with pytest.raises(CheckpointError, match="a shape that is not whole numbers"):
        sparring.load(run)


@pytest.mark.parametrize("shape", [[1, 65536, 65536], [2**63, 1, 1], [0, 8, 8], []], ids=str)
def test_samples_that_nobody_could_hold_are_refused(run, shape):
    values = json.loads((run / "config.json").read_text())
    values["data"]["sample_shape"] = shape
    (run / "config.json").write_text(json.dumps(values))
    with pytest.raises(CheckpointError, match=r"damaged.*samples of"):
        sparring.load(run)


def test_unknown_names(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        sparring.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="not a run folder"):
        sparring.load(tmp_path / "empty")


def test_unconditional(tiny, shapes, tmp_path):
    shapes.class_names = []
    shapes.classes = torch.zeros_like(shapes.classes)
    train(tiny, tmp_path / "run", dataset=shapes)
    gan = sparring.load(tmp_path / "run")
    assert gan.sample(3).shape == (3, 1, 8, 8)
    with pytest.raises(ConfigError, match="without classes"):
        gan.sample(3, condition=0)
