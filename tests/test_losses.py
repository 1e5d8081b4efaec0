"""The losses against their definitions on probabilities, D = sigmoid(logit), in float64."""

import math

import numpy as np
import pytest
import torch

from sparring.losses import LOSSES, energy_distance, logit_centring

log = np.log


def probability(logit):
    return 1 / (1 + np.exp(-logit))


# (L_D, L_G) of a pair. The first three are stated on probabilities, the others on the raw output.
DEFINITIONS = {
    "relativistic": (lambda r, f: -log(probability(r - f)), lambda r, f: -log(probability(f - r))),
    "non-saturating": (
        lambda r, f: -log(probability(r)) - log(1 - probability(f)),
        lambda r, f: -log(probability(f)),
    ),
    "minimax": (
        lambda r, f: -log(probability(r)) - log(1 - probability(f)),
        lambda r, f: log(1 - probability(f)),
    ),
    "hinge": (lambda r, f: np.maximum(0, 1 - r) + np.maximum(0, 1 + f), lambda r, f: -f),
    "least-squares": (lambda r, f: ((r - 1) ** 2 + f**2) / 2, lambda r, f: (f - 1) ** 2 / 2),
    "wasserstein": (lambda r, f: f - r, lambda r, f: -f),
}
every_loss = pytest.mark.parametrize("name", sorted(LOSSES))


def pairs(limit=6.0, count=13):
    """All pairs of `count` logits, two float64 tensors that require gradients."""
    line = torch.linspace(-limit, limit, count, dtype=torch.float64)
    real, fake = torch.cartesian_prod(line, line).unbind(1)
    return real.clone().requires_grad_(), fake.clone().requires_grad_()


def gradients(loss, real, fake):
    found = torch.autograd.grad(loss(real, fake).sum(), (real, fake), allow_unused=True)
    return [torch.zeros_like(real) if gradient is None else gradient for gradient in found]


def test_every_loss_has_a_definition_here():
    assert set(LOSSES) == set(DEFINITIONS)


@every_loss
def test_equals_its_definition_on_probabilities(name):
    real, fake = pairs()
    for loss, definition in zip(LOSSES[name], DEFINITIONS[name], strict=True):
        expected = definition(real.detach().numpy(), fake.detach().numpy())
        np.testing.assert_allclose(loss(real, fake).detach().numpy(), expected, rtol=1e-11, atol=1e-12)


@every_loss
def test_is_unreduced(name):
    for loss in LOSSES[name]:
        assert loss(torch.zeros(5), torch.ones(5)).shape == (5,)


@every_loss
def test_is_finite_with_finite_gradients_at_extreme_logits(name):
    real = torch.tensor([1e4, 1e4, -1e4, -1e4], requires_grad=True)
    fake = torch.tensor([1e4, -1e4, 1e4, -1e4], requires_grad=True)
    for loss in LOSSES[name]:
        assert loss(real, fake).isfinite().all()
        for gradient in gradients(loss, real, fake):
            assert gradient.isfinite().all()


@pytest.mark.parametrize(
    ("name", "discriminator", "generator"),
    [
        ("relativistic", [math.log(2), 0, 2e4, math.log(2)], [math.log(2), 2e4, 0, math.log(2)]),
        ("non-saturating", [1e4, 0, 2e4, 1e4], [0, 1e4, 0, 1e4]),
        ("minimax", [1e4, 0, 2e4, 1e4], [-1e4, 0, -1e4, 0]),
    ],
)
def test_extreme_logits_have_the_limits_values(name, discriminator, generator):
    real, fake = torch.tensor([1e4, 1e4, -1e4, -1e4]), torch.tensor([1e4, -1e4, 1e4, -1e4])
    torch.testing.assert_close(LOSSES[name].discriminator(real, fake), torch.tensor(discriminator))
    torch.testing.assert_close(LOSSES[name].generator(real, fake), torch.tensor(generator))


@every_loss
def test_an_undecided_discriminator_is_pushed_apart_and_the_generator_up(name):
    real = torch.full((3,), 0.3, requires_grad=True)
    fake = torch.full((3,), 0.3, requires_grad=True)
    to_real, to_fake = gradients(LOSSES[name].discriminator, real, fake)
    assert (to_real < 0).all()
    assert (to_fake > 0).all()
    assert (gradients(LOSSES[name].generator, real, fake)[1] < 0).all()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"least-squares"}))
def test_no_gradient_ever_points_the_wrong_way(name):
    to_real, to_fake = gradients(LOSSES[name].discriminator, *pairs())
    assert (to_real <= 0).all()
    assert (to_fake >= 0).all()
    assert (gradients(LOSSES[name].generator, *pairs())[1] <= 0).all()


@pytest.mark.parametrize("name", sorted(set(LOSSES) - {"relativistic"}))
def test_only_the_relativistic_generator_looks_at_real_samples(name):
    assert (gradients(LOSSES[name].generator, *pairs())[0] == 0).all()
    assert (gradients(LOSSES["relativistic"].generator, *pairs())[0] > 0).all()


def test_saturation_where_the_discriminator_wins():
    real, fake = torch.tensor([30.0], requires_grad=True), torch.tensor([-30.0], requires_grad=True)
    slopes = {name: float(gradients(loss.generator, real, fake)[1]) for name, loss in LOSSES.items()}
    assert slopes["non-saturating"] == pytest.approx(-1)
    assert slopes["relativistic"] == pytest.approx(-1)
    assert abs(slopes["minimax"]) < 1e-12


def test_values_at_equality():
    shift = torch.tensor([-50.0, 0.0, 3.0])
    for side in LOSSES["relativistic"]:
        torch.testing.assert_close(side(shift, shift), torch.full((3,), math.log(2)))
    zero = torch.zeros(1, dtype=torch.float64)
    values = {name: [float(side(zero, zero)) for side in loss] for name, loss in LOSSES.items()}
    assert values["non-saturating"] == pytest.approx([2 * math.log(2), math.log(2)])
    assert values["minimax"] == pytest.approx([2 * math.log(2), -math.log(2)])
    assert values["hinge"] == [2, 0]


def test_the_relativistic_game_is_symmetric_and_shift_invariant():
    real, fake = pairs()
    game = LOSSES["relativistic"]
    torch.testing.assert_close(game.discriminator(real, fake), game.generator(fake, real))
    for side in game:
        torch.testing.assert_close(side(real + 7.5, fake + 7.5), side(real, fake))
        to_real, to_fake = gradients(side, real, fake)
        torch.testing.assert_close(to_real, -to_fake)


@pytest.mark.parametrize("name", ["minimax", "wasserstein"])
def test_zero_sum_games_pull_the_fakes_with_opposite_forces(name):
    to_fake = [gradients(side, *pairs())[1] for side in LOSSES[name]]
    torch.testing.assert_close(to_fake[0], -to_fake[1])


# Goodfellow et al. 2014, proposition 1: D* = p / (p + q). Mao et al. 2017, eq. 5, for least squares.
@pytest.mark.parametrize("name", ["non-saturating", "minimax", "least-squares", "hinge"])
def test_the_optimal_discriminator_of_two_densities_is_the_minimum(name):
    p = torch.tensor([0.1, 0.3, 0.6], dtype=torch.float64)
    q = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64)
    best = {"least-squares": p / (p + q), "hinge": (p - q).sign()}.get(name, (p / q).log())

    def expected_loss(logits):
        none = torch.zeros_like(logits)
        loss = LOSSES[name].discriminator
        # the loss is a term in real plus a term in fake: weigh the terms by p and q
        constant = loss(none, none)
        real_term, fake_term = loss(logits, none), loss(none, logits)
        return (p * (real_term - constant) + q * (fake_term - constant)).sum()

    least = expected_loss(best)
    for place in range(3):
        for step in (-0.05, 0.05, -1.0, 1.0):
            moved = best.clone()
            moved[place] += step
            assert expected_loss(moved) > least


def test_logit_centring():
    real, fake = torch.tensor([1.0, -2.0, 3.0]), torch.tensor([0.5, 2.0, -4.0])
    torch.testing.assert_close(logit_centring(real, fake), torch.tensor([2.25, 0.0, 1.0]))


def alike(labels):
    return labels[:, None] == labels


def test_energy_distance_is_that_of_each_class():
    generator = torch.Generator().manual_seed(0)
    fakes, samples = torch.randn(2, 6, 2, 3, generator=generator, dtype=torch.float64)
    labels = [0, 1, 0, 2, 1, 0]

    def distance(a, b):
        return math.sqrt(float((a - b).square().sum()))

    expected = []
    for i, label in enumerate(labels):
        group = [j for j in range(6) if labels[j] == label]
        others = [distance(fakes[i], fakes[j]) for j in group if j != i]
        to_real = sum(distance(fakes[i], samples[j]) for j in group) / len(group)
        expected.append(2 * to_real - sum(others) / len(others) if others else 0.0)
    assert energy_distance(fakes, samples, alike(torch.tensor(labels))).tolist() == pytest.approx(expected, rel=1e-5)


def test_energy_distance_of_small_batches_is_right_on_average():
    generator = torch.Generator().manual_seed(0)
    labels = torch.zeros(4, dtype=torch.long)
    for shift in (0.0, 1.5):
        estimates = torch.stack(
            [energy_distance(torch.randn(4, 1, generator=generator) + shift,
                             torch.randn(4, 1, generator=generator), alike(labels)).mean() for _ in range(5000)]
        )  # fmt: skip
        # |N(shift, 2)| and |N(0, 2)| are folded normals
        folded = 2 / math.sqrt(math.pi) * math.exp(-(shift**2) / 4) + shift * math.erf(shift / 2)
        error = float(estimates.std()) / math.sqrt(len(estimates))
        assert float(estimates.mean()) == pytest.approx(2 * folded - 2 / math.sqrt(math.pi), abs=4 * error)


def test_energy_distance_drives_what_is_alike_apart():
    generator = torch.Generator().manual_seed(0)
    samples = torch.randn(16, 50, generator=generator)
    fakes = samples.mean(0) + 0.01 * torch.randn(16, 50, generator=generator)
    fakes.requires_grad_()
    energy_distance(fakes, samples, torch.ones(16, 16)).sum().backward()
    moved = fakes.detach() - 0.1 * fakes.grad
    assert moved.std(0).mean() > 1.5 * fakes.detach().std(0).mean()
    assert fakes.grad.isfinite().all()
    same = samples[:1].repeat(16, 1).requires_grad_()  # not even where all are one
    energy_distance(same, samples, torch.ones(16, 16)).sum().backward()
    assert same.grad.isfinite().all()
