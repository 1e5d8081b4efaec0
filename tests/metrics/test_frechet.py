import numpy as np
import pytest
import torch

from sparring.metrics.frechet import frechet_distance
from sparring.modalities.metrics import metric_for
from sparring.modalities.registry import open_dataset


def test_agrees_with_the_formula():
    """||mu_1 - mu_2||^2 + Tr(C_1 + C_2 - 2 (C_1 C_2)^(1/2)), the root by eigenvalues, in float64."""
    random = np.random.default_rng(0)
    first = random.normal(size=(400, 6)) @ random.normal(size=(6, 6))
    second = random.normal(size=(300, 6)) + 0.5
    covariances = [np.cov(x, rowvar=False) for x in (first, second)]
    root = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex)).real.sum()
    expected = ((first.mean(0) - second.mean(0)) ** 2).sum() + np.trace(covariances[0] + covariances[1]) - 2 * root
    assert frechet_distance(torch.tensor(first), torch.tensor(second)) == pytest.approx(expected, rel=1e-6)


def test_is_a_distance():
    x, y = torch.randn(500, 4), torch.randn(500, 4) * 2 + 1
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-4)
    assert frechet_distance(x, y) == pytest.approx(frechet_distance(y, x), rel=1e-4)


def test_modes_metric_counts_modes():
    grid = open_dataset("grid")
    metric = metric_for(grid)
    real = grid.batch(torch.arange(10_000))[0]
    scores = metric(lambda n: (real, None))
    assert scores["modes"] == 25
    assert scores["share_within_3_sigma"] == pytest.approx(0.989, abs=0.005)  # of a 2-D Gaussian
    one = metric(lambda n: (real[:1].expand(10_000, -1, -1, -1), None))
    assert one["modes"] == 1
