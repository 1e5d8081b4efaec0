import itertools
import math

import pytest
import torch
from torch import nn

from sparring.config import OptimConfig
from sparring.training.optim import lr_factor, make_optimizer, set_lr

NUM = 10_000


def factors(config, every=64):
    return [lr_factor(config, seen, NUM) for seen in range(0, NUM + 1, every)]


def test_the_ends_of_the_cosine():
    config = OptimConfig(warmup=0, decay="cosine")
    assert lr_factor(config, 0, NUM) == 1
    assert lr_factor(config, NUM // 2, NUM) == pytest.approx(0.51)
    assert lr_factor(config, NUM, NUM) == pytest.approx(0.02)
    assert lr_factor(config, 3 * NUM, NUM) == pytest.approx(0.02)
    assert lr_factor(config, NUM // 3, NUM) == pytest.approx(0.02 + 0.98 * (1 + math.cos(math.pi / 3)) / 2, abs=1e-3)


def test_without_a_warm_up_it_only_falls():
    falling = factors(OptimConfig(warmup=0, decay="cosine"))
    assert all(a >= b for a, b in itertools.pairwise(falling))
    assert all(0.02 <= factor <= 1 for factor in falling)


@pytest.mark.parametrize("decay", ["cosine", "constant"])
def test_it_rises_through_the_warm_up_and_never_again(decay):
    config = OptimConfig(warmup=1000, decay=decay)
    without = OptimConfig(warmup=0, decay=decay)
    rising = [lr_factor(config, seen, NUM) for seen in range(0, 1000, 64)]
    assert 0 < rising[0] <= 1 / 1000
    assert all(a < b for a, b in itertools.pairwise(rising))
    assert lr_factor(config, 500, NUM) == pytest.approx(0.5 * lr_factor(without, 500, NUM), rel=0.01)
    for seen in range(1000, NUM + 1, 64):
        assert lr_factor(config, seen, NUM) == lr_factor(without, seen, NUM)


def test_constant_is_constant():
    assert set(factors(OptimConfig(warmup=0, decay="constant"))) == {1.0}


def optimizer_on(weight, **settings):
    model = nn.Module()
    model.weight = nn.Parameter(weight)
    return model, make_optimizer(model, 0.1, OptimConfig(**settings))


def test_adam_against_its_definition():
    # Kingma & Ba 2015, algorithm 1, with beta1 = 0
    gradients = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    model, optimizer = optimizer_on(torch.zeros(4, dtype=torch.float64), beta2=0.9)
    expected, second = torch.zeros(4, dtype=torch.float64), torch.zeros(4, dtype=torch.float64)
    for step, gradient in enumerate(gradients, 1):
        model.weight.grad = gradient.clone()
        optimizer.step()
        second = 0.9 * second + 0.1 * gradient**2
        expected = expected - 0.1 * gradient / ((second / (1 - 0.9**step)).sqrt() + 1e-8)
        torch.testing.assert_close(model.weight.detach(), expected)


def test_without_momentum_a_zero_gradient_moves_nothing():
    model, optimizer = optimizer_on(torch.ones(3))
    model.weight.grad = torch.ones(3)
    optimizer.step()
    after = model.weight.detach().clone()
    assert not torch.equal(after, torch.ones(3))
    model.weight.grad = torch.zeros(3)
    optimizer.step()
    assert torch.equal(model.weight.detach(), after)


def test_set_lr_takes_effect_on_the_next_step():
    model, optimizer = optimizer_on(torch.zeros(2))
    for lr in (0.5, 0.0, 0.25):
        before = model.weight.detach().clone()
        set_lr(optimizer, lr)
        model.weight.grad = torch.ones(2)
        optimizer.step()
        torch.testing.assert_close(before - model.weight.detach(), torch.full((2,), lr))
