import json
import os
import signal

import pytest
import torch

import sparring
from sparring.data.spec import DataSpec
from sparring.files import load_tensors
from sparring.training.codec_trainer import CodecTrainer, encoded, fit
from sparring.training.run import Interrupted, train

LATENT = {
    "codec.name": "autoencoder",
    "codec.width": 16,
    "codec.depth": 1,
    "codec.latent_dim": 6,
    "codec.batch_size": 8,
    "codec.num_samples": 48,
}


def make(config, dataset):
    torch.manual_seed(0)
    codec = config.codec.build(DataSpec.of(dataset), 1)
    fit(codec, dataset, torch.device("cpu"))
    return CodecTrainer(config, codec, dataset, torch.device("cpu"), torch.float32)


def test_the_error_falls(tiny, shapes):
    trainer = make(tiny.replace(LATENT | {"codec.num_samples": 1600, "codec.lr": 5e-3}), shapes)
    errors = [float(trainer.step()["loss/reconstruction"]) for _ in range(200)]
    assert sum(errors[-10:]) < 0.2 * sum(errors[:10])


def test_restored_trainer_goes_on_bit_for_bit(tiny, shapes):
    config = tiny.replace(LATENT)
    straight, broken = make(config, shapes), make(config, shapes)
    for _ in range(4):
        straight.step()
    broken.step()
    broken.step()
    tensors, counts = broken.state()
    tensors = {name: value.clone() for name, value in tensors.items()}
    resumed = make(config, shapes)
    resumed.restore(tensors, counts)
    resumed.step()
    resumed.step()
    for name, value in straight.state()[0].items():
        assert torch.equal(value, resumed.state()[0][name]), name


def test_latents_hold_every_sample_in_order(tiny, shapes):
    trainer = make(tiny.replace(LATENT), shapes)
    latents = encoded(shapes, trainer.codec, torch.device("cpu"))
    assert len(latents) == len(shapes)
    assert latents.sample_shape == trainer.codec.latent_shape
    assert torch.equal(latents.labels(), shapes.labels())
    expected = trainer.codec.encode(shapes.batch(torch.tensor([7]))[0])
    torch.testing.assert_close(latents.batch(torch.tensor([7]))[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("at", [24, 80])  # in the codec's training, in the GAN's
def test_a_run_of_both_resumes_bit_for_bit(tiny, shapes, tmp_path, at):
    config = tiny.replace(LATENT)
    train(config, tmp_path / "straight", dataset=shapes)

    def interrupt(progress):
        if progress.samples_seen == at:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted):
        train(config, tmp_path / "broken", dataset=shapes, report=interrupt)
    said = []
    train(config, tmp_path / "broken", dataset=shapes, log=said.append)
    assert any(f"at {at} samples" in line for line in said)
    folders = [tmp_path / name / "checkpoints" for name in ("straight", "broken")]
    newest = [load_tensors(max(folder.iterdir()))[0] for folder in folders]
    assert newest[0].keys() == newest[1].keys()
    assert all(torch.equal(newest[0][name], newest[1][name]) for name in newest[0])


def test_the_run_is_loaded_and_sampled_as_one_model(tiny, shapes, tmp_path):
    train(tiny.replace(LATENT), tmp_path / "run", dataset=shapes)
    gan = sparring.load(tmp_path / "run", "cpu")
    samples = gan.sample(5, condition="left")
    assert samples.shape == (5, 1, 8, 8)
    assert samples.abs().max() <= 1
    original = shapes.batch(torch.arange(4))[0]
    assert gan.reconstruct(original).shape == original.shape
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    assert [row["samples_seen"] for row in rows] == list(range(8, 48 + 64 + 1, 8))
    assert all(("loss/reconstruction" in row) == (row["samples_seen"] <= 48) for row in rows)
    assert "codec/error" in rows[3]
    pictures = sorted(int(path.stem) for path in (tmp_path / "run/samples").iterdir())
    assert pictures == [32, 48, 80, 112]
