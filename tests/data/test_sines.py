import numpy as np
import torch

from sparring.data.sines import sines


def everything(dataset):
    return dataset.batch(torch.arange(len(dataset)))[0]


def test_shape_names_and_scaling():
    dataset = sines(length=12, channels=3, count=400)
    samples = everything(dataset)
    assert dataset.name == "sines"
    assert samples.shape == (400, *dataset.sample_shape) == (400, 3, 12)
    assert samples.dtype == torch.float32
    assert dataset.channels.names == ("sine 1", "sine 2", "sine 3")
    assert dataset.num_classes == 0
    assert torch.allclose(samples.mean((0, 2)), torch.zeros(3), atol=1e-4)
    assert torch.allclose(samples.std((0, 2)), torch.ones(3), atol=1e-3)


def test_every_channel_is_a_sine_of_a_frequency_and_phase_below_a_tenth():
    dataset = sines(length=24, channels=4, count=300, seed=3)
    values = dataset.channels.restore(everything(dataset)).double().numpy()
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-6
    angle = np.arcsin(np.clip(2 * values - 1, -1, 1))  # one to one until the sine first turns, at pi / 2
    phase, frequency = angle[..., 0], angle[..., 1] - angle[..., 0]
    expected = (np.sin(frequency[..., None] * np.arange(24) + phase[..., None]) + 1) / 2
    assert np.abs(values - expected).max() < 2e-4
    for drawn in (phase, frequency):
        assert drawn.min() > -1e-4
        assert drawn.max() < 0.1 + 1e-4
        # a uniform law: mean 0.05, standard deviation 0.1 / sqrt(12), and its quartiles
        assert abs(drawn.mean() - 0.05) < 0.004
        assert abs(drawn.std() - 0.1 / 12**0.5) < 0.002
        assert np.allclose(np.quantile(drawn, [0.25, 0.75]), [0.025, 0.075], atol=0.005)
    assert abs(np.corrcoef(phase.ravel(), frequency.ravel())[0, 1]) < 0.1
    assert np.abs(np.corrcoef(frequency.T) - np.eye(4)).max() < 0.2


def test_the_seed_decides_and_held_out_samples_are_others_of_the_same_scaling():
    dataset, same, other = sines(count=50, seed=1), sines(count=50, seed=1), sines(count=50, seed=2)
    assert torch.equal(everything(dataset), everything(same))
    assert dataset.fingerprint == same.fingerprint != other.fingerprint
    assert len(dataset.held_out) == 5
    assert dataset.held_out.channels == dataset.channels
    training = {tuple(sample.flatten().tolist()) for sample in everything(dataset)}
    assert not any(tuple(sample.flatten().tolist()) in training for sample in everything(dataset.held_out))
    assert len(sines(count=3).held_out) == 1
