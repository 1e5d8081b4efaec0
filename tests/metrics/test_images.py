import pytest
import torch

from sparring.data import DataError, open_dataset
from sparring.metrics.images import ImageEvaluation, inception_score, kernel_distance


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_kernel_distance_against_its_definition():
    """The unbiased estimate with the kernel (x.y / D + 1)^3, all of both sets in one subset."""
    features, reference = random(60, 5).double(), random(60, 5, seed=1).double() + 0.5

    def kernel(a, b):
        return (a @ b.T / 5 + 1) ** 3

    n = 60
    same = [kernel(x, x) for x in (features, reference)]
    within = [(k.sum() - k.diag().sum()) / (n * (n - 1)) for k in same]
    expected = within[0] + within[1] - 2 * kernel(features, reference).mean()
    assert kernel_distance(features, reference) == pytest.approx(expected.item(), rel=1e-4)


def test_inception_score_in_closed_form():
    certain = 50.0 * torch.eye(4).repeat(5, 1)
    assert inception_score(certain) == pytest.approx(4)
    assert inception_score(certain[:1].repeat(9, 1)) == pytest.approx(1)
    assert inception_score(torch.zeros(9, 4)) == pytest.approx(1)


def test_real_digits_score_as_the_floor_and_one_digit_repeated_does_not():
    data = open_dataset("digits")
    evaluation = ImageEvaluation(data, num=300, extractor="digits")
    assert evaluation.count == 300
    chosen = torch.randperm(4000, generator=torch.Generator().manual_seed(7))[:300]
    real, classes = data.batch(chosen)
    scores = evaluation(lambda count: (real[:count], classes[:count]))
    assert scores["frechet"] < 2 * scores["frechet_floor"] + 1
    assert scores["precision"] > 0.8
    assert scores["recall"] > 0.8
    assert scores["c2st"] < 0.6
    assert scores["recognised"] > 0.97
    assert scores["near_copies"] > 0.5  # they are training digits
    one = evaluation(lambda count: (real[:1].expand(count, -1, -1, -1), classes[:1].expand(count)))
    assert one["frechet"] > 10 * scores["frechet"]
    assert one["coverage"] < 0.1
    assert one["c2st"] > 0.95


def test_pictures_without_a_held_out_part_are_compared_with_half_of_themselves(shapes):
    evaluation = ImageEvaluation(shapes, num=100, extractor="untrained")
    scores = evaluation(lambda count: (shapes.batch(torch.arange(count))[0], None))
    assert evaluation.count == 20
    assert "near_copies" not in scores
    assert scores["c2st"] <= 0.8
    shapes.samples, shapes.classes = shapes.samples[:30], shapes.classes[:30]
    with pytest.raises(DataError, match="40 are needed"):
        ImageEvaluation(shapes, num=100, extractor="untrained")
