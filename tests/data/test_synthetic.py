import math

import pytest
import torch

from sparring.data import DataError, mode_coverage
from sparring.data.synthetic import grid, rings
from sparring.modalities.registry import open_dataset

WITHIN_3_SIGMA = 1 - math.exp(-4.5)  # of a 2-D Gaussian


@pytest.mark.parametrize(("name", "count"), [("rings", 8), ("grid", 25)])
def test_the_set_itself_covers_all_its_modes(name, count):
    points = open_dataset(name)
    samples, labels = points.batch(torch.arange(len(points)))
    assert samples.shape == (len(points), 2, 1, 1)
    assert samples.dtype == torch.float32
    assert samples.abs().max() < 1
    assert points.num_classes == 0
    assert not labels.any()
    assert points.modes.shape == (count, 2)
    covered, share = mode_coverage(samples, points.modes, points.std)
    assert covered == count
    assert share == pytest.approx(WITHIN_3_SIGMA, abs=0.003)


def test_modes_do_not_overlap():
    for points in (rings(10), grid(10)):
        apart = torch.cdist(points.modes, points.modes) + torch.eye(len(points.modes))
        assert apart.min() > 6 * points.std


def test_points_follow_the_seed():
    assert torch.equal(rings(100, seed=1).samples, rings(100, seed=1).samples)
    assert rings(100, seed=1).fingerprint == rings(100, seed=1).fingerprint != rings(100, seed=2).fingerprint


def test_coverage_counts_a_tenth_of_the_fair_share():
    modes = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    samples = torch.zeros(200, 2)
    samples[:9] = modes[1]
    assert mode_coverage(samples, modes, 0.1) == (1, 1.0)
    samples[9] = modes[1]
    assert mode_coverage(samples, modes, 0.1) == (2, 1.0)


def test_coverage_share_leaves_out_strays_and_nan():
    modes = torch.tensor([[0.0, 0.0]])
    samples = torch.tensor([[0.0, 0.29], [0.0, 0.31], [math.nan, 0.0], [9.0, 9.0]])
    assert mode_coverage(samples, modes, 0.1) == (1, 0.25)
    assert mode_coverage(samples[:0], modes, 0.1) == (0, 0.0)
    with pytest.raises(ValueError, match="not points"):
        mode_coverage(torch.zeros(4, 3), modes, 0.1)


def test_points_take_no_resolution():
    with pytest.raises(DataError, match="leave out --resolution"):
        open_dataset("rings", resolution=64)
