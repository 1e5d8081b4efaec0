import copy

import pytest
import torch
from torch import nn

from sparring.training.ema import ExponentialMovingAverage


class Scalar(nn.Module):
    """One weight and one buffer."""

    def __init__(self, value):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([float(value)], dtype=torch.float64))
        self.register_buffer("seen", torch.zeros(1))


def averaged_after(num_samples, batch_size, *, half_life, rampup, start=0):
    """The average that starts at 1 after `num_samples` of a model that stays at 0: the share of the beginning."""
    ema = ExponentialMovingAverage(Scalar(1), half_life=half_life, rampup=rampup)
    for seen in range(start + batch_size, start + num_samples + 1, batch_size):
        ema.update(Scalar(0), seen, batch_size)
    return float(ema.model.weight)


@pytest.mark.parametrize("batch_size", [1, 8, 100])
@pytest.mark.parametrize(("half_lives", "share"), [(1, 0.5), (2, 0.25), (0.5, 0.5**0.5)])
def test_half_is_forgotten_after_a_half_life_whatever_the_batch(batch_size, half_lives, share):
    left = averaged_after(int(400 * half_lives), batch_size, half_life=400, rampup=1e9)
    assert left == pytest.approx(share, rel=1e-9)


def test_the_half_life_grows_with_the_samples_seen_up_to_its_value():
    expected = 1.0
    for seen in range(10, 1001, 10):
        expected *= 0.5 ** (10 / min(40, 0.1 * seen))
    assert averaged_after(1000, 10, half_life=40, rampup=0.1) == pytest.approx(expected, rel=1e-9)
    # the first step forgets the random start at once: 2^-10 is left of it
    assert averaged_after(10, 10, half_life=40, rampup=0.1) == pytest.approx(2**-10)
    # once the ramp is over, it plays no part
    late = averaged_after(40, 10, half_life=40, rampup=0.1, start=400)
    assert late == pytest.approx(0.5)


@pytest.mark.parametrize(("half_life", "rampup"), [(0, 0.1), (1000, 0.0)])
def test_without_a_half_life_it_is_the_model(half_life, rampup):
    ema = ExponentialMovingAverage(Scalar(1), half_life=half_life, rampup=rampup)
    ema.update(Scalar(0.3), 64, 64)
    assert float(ema.model.weight) == 0.3


def test_it_stays_between_what_it_averages():
    ema = ExponentialMovingAverage(Scalar(2), half_life=100, rampup=1e9)
    values = torch.rand(50, generator=torch.Generator().manual_seed(0)).tolist()
    expected = 2.0
    for step, value in enumerate(values, 1):
        ema.update(Scalar(value), 10 * step, 10)
        expected = 0.5**0.1 * expected + (1 - 0.5**0.1) * value
        assert float(ema.model.weight) == pytest.approx(expected)
    assert min(values) < expected < max(values)


def test_buffers_are_copied():
    ema, model = ExponentialMovingAverage(Scalar(1), half_life=1000, rampup=1e9), Scalar(0)
    model.seen += 7
    ema.update(model, 1, 1)
    assert ema.model.seen.tolist() == [7]
    model.seen += 1
    assert ema.model.seen.tolist() == [7]


def test_it_is_a_copy_that_does_not_learn_and_leaves_the_model_alone():
    model = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 1))
    before = copy.deepcopy(model.state_dict())
    ema = ExponentialMovingAverage(model, half_life=10, rampup=0.1)
    assert all(torch.equal(a, b) for a, b in zip(ema.model.parameters(), model.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in ema.model.parameters())
    assert not ema.model.training
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    other = nn.Sequential(nn.Linear(3, 4), nn.Dropout(), nn.Linear(4, 1))
    ema.update(other, 5, 5)
    assert not torch.equal(ema.model[0].weight, model[0].weight)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad_fn is None for parameter in ema.model.parameters())
