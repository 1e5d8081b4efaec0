import numpy as np
import torch

from sparring.modalities.registry import open_dataset


def test_counts_shapes_and_classes():
    digits = open_dataset("digits")
    for part, count in ((digits, 400), (digits.held_out, 100)):
        assert len(part) == 10 * count
        assert part.sample_shape == (1, 28, 28)
        assert part.class_names == [str(digit) for digit in range(10)]
        assert torch.bincount(part.labels()).tolist() == [count] * 10
    assert digits.describe()["held_out"] == 1000


def test_held_out_digits_are_not_trained_on():
    digits = open_dataset("digits")
    training = {sample.numpy().tobytes() for sample in digits.batch(torch.arange(4000))[0]}
    held_out = {sample.numpy().tobytes() for sample in digits.held_out.batch(torch.arange(1000))[0]}
    assert not training & held_out
    assert digits.fingerprint != digits.held_out.fingerprint


def test_pixels_look_like_digits_of_their_class():
    digits = open_dataset("digits")
    samples, labels = digits.batch(torch.arange(4000))
    assert (samples.min(), samples.max()) == (-1, 1)
    assert -0.8 < samples.mean() < -0.65  # MNIST: 13 % ink
    means = torch.stack([samples[labels == digit].mean(dim=0) for digit in range(10)])
    tested, truth = digits.held_out.batch(torch.arange(1000))
    nearest = torch.cdist(tested.flatten(1), means.flatten(1)).argmin(dim=1)
    assert (nearest == truth).float().mean() > 0.75


def test_resolution_and_unconditional():
    digits = open_dataset("digits", resolution=32, conditional=False)
    for part in (digits, digits.held_out):
        assert part.sample_shape == (1, 32, 32)
        assert part.num_classes == 0
        assert not part.labels().any()
    assert "ignored" in digits.describe()["notes"][0]
    assert np.isclose(
        digits.batch(torch.arange(100))[0].mean(),
        open_dataset("digits").batch(torch.arange(100))[0].mean(),
        atol=0.02,
    )
