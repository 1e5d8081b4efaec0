import itertools
import math

import pytest
import torch

from sparring.config import ConfigError
from sparring.data.conditions import Classes, Unconditional, Vectors
from sparring.models.generator import Generator
from sparring.sampling import FEW_MEAN_SAMPLES, MEAN_SAMPLES, draw_z, interpolate, mean_w


@pytest.mark.parametrize("size", [1, 7, 300])
def test_z_depends_on_the_seed_and_the_samples_number_alone(size):
    z = draw_z(10, size, seed=3)
    assert z.shape == (10, size)
    assert torch.equal(draw_z(4, size, seed=3), z[:4])
    assert torch.equal(torch.cat([draw_z(3, size, seed=3), draw_z(7, size, seed=3, start=3)]), z)
    assert torch.equal(draw_z(1, size, seed=3, start=9)[0], z[9])


def test_every_sample_of_every_seed_is_different():
    numbers = torch.cat([draw_z(20, 2, seed=seed) for seed in (0, 1, 2, 1000, 2**31 - 1)])
    assert len(numbers.unique(dim=0)) == 100


def test_z_is_standard_normal_within_a_sample_and_across_samples_and_seeds():
    z = torch.stack([draw_z(60, 60, seed=seed) for seed in range(4)])
    for part in (z, z[0], z[:, 0], z[:, :, 0]):
        error = 4 / math.sqrt(part.numel())
        assert abs(float(part.mean())) < error
        assert float(part.var()) == pytest.approx(1, abs=error * math.sqrt(2))
    rows = z.flatten(0, 1)
    correlations = torch.corrcoef(rows) - torch.eye(len(rows))
    assert correlations.abs().max() < 6 / math.sqrt(60)


def test_z_leaves_the_global_generator_alone():
    before = torch.random.get_rng_state()
    draw_z(3, 3, seed=0)
    assert torch.equal(torch.random.get_rng_state(), before)


NAMES = Classes(("owl", "ant", "7", "cat"))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (None, [0, 1, 2, 3, 0]),
        (1, [1] * 5),
        ("cat", [3] * 5),
        ("2", [2] * 5),
        ("7", [2] * 5),  # a name, before it is a number
        ([0, "ant", "3", 2, "owl"], [0, 1, 3, 2, 0]),
        (torch.tensor([3, 0, 0, 1, 2]), [3, 0, 0, 1, 2]),
        (range(5 - 1, -1, -1), None),
    ],
)
def test_classes_by_number_and_by_name(wanted, expected):
    if expected is None:
        with pytest.raises(ConfigError, match="there is no class 4"):
            NAMES.parse(wanted, 5)
        return
    indices = NAMES.parse(wanted, 5)
    assert indices.dtype == torch.long
    assert indices.tolist() == expected


def test_without_classes_every_label_is_zero():
    assert Unconditional().parse(None, 3).tolist() == [0, 0, 0]
    assert Unconditional().parse(torch.zeros(3, dtype=torch.long), 3).tolist() == [0, 0, 0]
    assert NAMES.parse(None, 0).tolist() == []


@pytest.mark.parametrize(
    ("wanted", "classes", "message"),
    [
        (0, Unconditional(), "without classes and other conditions: drop the condition"),
        ("owl", Unconditional(), "without classes"),
        ("dog", NAMES, "there is no class dog; the classes are owl, ant, 7, cat$"),
        (4, NAMES, "there is no class 4;"),
        (-1, NAMES, "there is no class -1;"),
        ("", NAMES, "there is no class ;"),
        (1.0, NAMES, "class"),
        (["owl", "dog", "ant"], NAMES, "there is no class dog"),
        (["owl", "ant"], NAMES, "2 classes were given for 3 samples: give one, or one for each"),
        ([], NAMES, "0 classes were given for 3 samples"),
        (99, Classes(tuple(f"c{number}" for number in range(40))), "c0, c1, .*, c19, ...$"),
    ],
)
def test_class_errors_say_what_there_is(wanted, classes, message):
    wanted = [wanted] * 3 if isinstance(wanted, float) else wanted
    with pytest.raises(ConfigError, match=message):
        classes.parse(wanted, 3)


# ---- the walk -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stops", [2, 4, 5])
def test_every_step_of_the_walk_is_standard_normal(stops):
    size = 3000
    walk = list(interpolate(12, 2, size, seed=1, stops=stops))
    assert len(walk) == 12
    for z in walk:
        assert z.shape == (2, size)
        for row in z:
            assert float(row.square().mean()) == pytest.approx(1, abs=4 * math.sqrt(2 / size))
            assert abs(float(row.mean())) < 4 / math.sqrt(size)


@pytest.mark.parametrize(("steps", "stops"), [(200, 4), (90, 3), (7, 4)])
def test_the_walk_is_closed_and_goes_in_even_steps(steps, stops):
    walk = list(interpolate(steps, 3, 400, seed=2, stops=stops))
    # a step turns by stops / steps of a right angle; the last one leads back to the first
    turn = stops / steps * math.pi / 2
    for here, there in itertools.pairwise([*walk, walk[0]]):
        distance = (there - here).square().mean(1).sqrt()
        assert (distance < 1.25 * turn).all()
        if steps > 20:
            assert (distance > 0.8 * turn).all()


def test_the_walk_passes_through_independent_draws():
    walk = list(interpolate(12, 2, 400, seed=2, stops=4))
    anchors = torch.stack(walk[::3]).flatten(0, 1)
    assert torch.equal(anchors, draw_z(8, 400, seed=2))
    halfway = list(interpolate(8, 2, 400, seed=2, stops=4))[1]
    torch.testing.assert_close(halfway, (anchors[:2] + anchors[2:4]) / math.sqrt(2))


def test_a_finer_walk_is_the_same_walk():
    coarse, fine = (list(interpolate(steps, 2, 5, seed=0)) for steps in (8, 24))
    for here, there in zip(coarse, fine[::3], strict=True):
        torch.testing.assert_close(here, there)


# ---- the mean of w --------------------------------------------------------------------------------------------------


def make_generator(condition):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Generator(
            (1, 2, 2), 3, width=16, depth=1, num_heads=2, condition=condition, z_dim=6, noise_dim=2,
        )  # fmt: skip


def test_mean_w_is_the_mean_over_z_for_each_label():
    generator, labels = make_generator(NAMES), torch.tensor([2, 0, 2, 3])
    means = mean_w(generator, labels)
    assert means.shape == (4, 16)
    assert torch.equal(means[0], means[2])
    z = torch.randn(20_000, 6, generator=torch.Generator().manual_seed(9))  # not the ones that mean_w draws
    for label, mean in zip(labels, means, strict=True):
        w = generator.mapping(z, label.expand(len(z))).detach()
        error = w.std(0) * math.sqrt(1 / MEAN_SAMPLES + 1 / len(z))
        assert ((mean - w.mean(0)).abs() < 4.5 * error).all()
        assert (mean - w.mean(0)).norm() < 0.1 * w.std(0).norm()
    assert (means[0] - means[1]).norm() > (means[0].norm() * 0.05)


def test_mean_w_without_classes_and_on_every_call_alike():
    generator = make_generator(Unconditional())
    means = mean_w(generator, torch.zeros(3, dtype=torch.long))
    assert means.shape == (3, 16)
    assert torch.equal(means[0], means[1])
    assert torch.equal(mean_w(generator, torch.zeros(1, dtype=torch.long))[0], means[0])
    assert not means.requires_grad


def test_mean_w_of_numbers_is_that_under_each_of_them():
    numbers = Vectors.fit(torch.randn(50, 2, generator=torch.Generator().manual_seed(0)))
    generator, condition = make_generator(numbers), numbers.spread(3)
    means = mean_w(generator, condition)
    z = draw_z(FEW_MEAN_SAMPLES, 6, seed=0)
    for one, mean in zip(condition, means, strict=True):
        expected = generator.mapping(z, one.expand(len(z), -1)).mean(0)
        torch.testing.assert_close(mean, expected, rtol=1e-4, atol=1e-5)
    assert (means[0] - means[1]).norm() > 0.01 * means[0].norm()
