import pytest
import torch

from sparring.metrics.digit_classifier import load_digit_classifier, recognise
from sparring.metrics.images import ImageEvaluation
from sparring.modalities.metrics import metric_for
from sparring.modalities.registry import open_dataset


@pytest.fixture(scope="module")
def digits():
    return open_dataset("digits")


@pytest.fixture(scope="module")
def metric(digits):
    return metric_for(digits)


def test_classifier_knows_held_out_digits(digits):
    images, classes = digits.held_out.batch(torch.arange(1000))
    features, predicted = recognise(load_digit_classifier(), images)
    assert (predicted == classes).float().mean() > 0.98
    assert features.std(0).min() > 1e-3  # no dead feature, so the covariance has full rank


def test_held_out_digits_score_zero_and_others_order_as_they_should(digits, metric):
    images, classes = digits.held_out.batch(torch.arange(1000))
    perfect = metric(lambda n: (images, classes))
    assert perfect["frechet"] == pytest.approx(0, abs=1e-3)
    assert perfect["recognised"] > 0.98
    assert perfect["least_share"] > 0.08
    noise = torch.Generator().manual_seed(0)
    blurred = images + 0.3 * torch.randn(images.shape, generator=noise)
    rows = [metric(lambda n, x=x: (x, None))["frechet"] for x in (blurred, images[:1].expand(1000, -1, -1, -1))]
    assert 0 < metric.floor < rows[0] < rows[1]
    assert metric.facts == {"extractor": "sparring-digits (not Inception)", "resized": "not resized", "count": 1000}


def test_the_floor_is_the_one_that_evaluate_gives(digits, metric):
    evaluation = ImageEvaluation(digits, num=10_000, extractor="digits", metrics=("frechet",))
    found = evaluation(lambda count: digits.batch(torch.arange(count)))
    assert found["frechet_floor"] == pytest.approx(metric.floor, rel=1e-4)


def test_order_does_not_matter(digits, metric):
    images, classes = digits.batch(torch.arange(1000))
    shuffled = torch.randperm(1000, generator=torch.Generator().manual_seed(0))
    first = metric(lambda n: (images, classes))
    second = metric(lambda n: (images[shuffled], classes[shuffled]))
    assert second["frechet"] == pytest.approx(first["frechet"], rel=1e-4)
    assert second["recognised"] == pytest.approx(first["recognised"])


def test_collapse_shows_in_the_shares(digits, metric):
    ones = digits.batch((digits.labels() == 1).nonzero().flatten()[:100].repeat(10))[0]
    scores = metric(lambda n: (ones, None))
    assert scores["most_share"] > 0.95
    assert scores["least_share"] == 0
    assert "recognised" not in scores
