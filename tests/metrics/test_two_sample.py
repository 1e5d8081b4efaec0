import itertools

import pytest
import torch

from sparring.data import DataError
from sparring.data.bouncing import bouncing
from sparring.data.sines import sines
from sparring.data.synthetic import rings
from sparring.data.text import build
from sparring.metrics.series import SeriesMetric
from sparring.metrics.two_sample import classifier_two_sample, without_few
from sparring.modalities.metrics import evaluate, metric_for


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_equal_distributions_cannot_be_told_apart_and_others_can():
    real = random(1000, 8)
    assert classifier_two_sample(random(1000, 8, seed=1), real) < 0.56
    assert classifier_two_sample(random(1000, 8, seed=1) + 0.7, real) > 0.75
    ring = torch.nn.functional.normalize(random(1000, 2, seed=1)) * 2**0.5
    assert classifier_two_sample(ring, random(1000, 2)) > 0.7  # the same mean and spread


def test_copies_of_what_was_learnt_from_do_not_help():
    """Samples and data judged are never those learnt from: memory alone tells nothing."""
    real = random(200, 50)
    assert classifier_two_sample(random(200, 50, seed=1), real) < 0.65


def test_seeds_repeat_and_the_global_one_is_left_alone():
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    first = classifier_two_sample(random(100, 4), random(100, 4, seed=1), seed=2)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert classifier_two_sample(random(100, 4), random(100, 4, seed=1), seed=2) == first
    with pytest.raises(ValueError, match="four generated"):
        classifier_two_sample(random(3, 4), random(3, 4))


def test_the_order_of_rows_plays_no_part():
    features, reference = random(400, 4) + 0.4, random(400, 4, seed=1)
    turned = classifier_two_sample(features.flip(0), reference.roll(7, 0))
    assert turned == classifier_two_sample(features, reference) > 0.5


def test_few_samples_are_not_told_apart():
    assert without_few(("frechet", "c2st"), 100, named=False) == ("frechet", "c2st")
    assert without_few(("frechet", "c2st"), 99, named=False) == ("frechet",)
    with pytest.raises(DataError, match="c2st needs 100 generated and 100 real samples, not 99"):
        without_few(("frechet", "c2st"), 99, named=True)


def films():
    data = bouncing(frames=8, resolution=32, num_digits=1, count=400)
    clips = bouncing(frames=8, resolution=32, num_digits=1, count=400, seed=1).batch(torch.arange(400))[0]
    return data, clips, clips[:, :, :1].expand_as(clips)


def series():
    data, other = sines(length=12, channels=3, count=400), sines(length=12, channels=3, count=400, seed=1)
    real = data.channels.restore(other.batch(torch.arange(400))[0])
    return data, real, real.mean(2, keepdim=True).expand_as(real)


def points():
    real = rings(10_000, seed=1).samples
    return rings(20_000), real, real + torch.tensor([0.06, 0.0])[:, None, None]


def texts():
    words = ["red", "blue", "old", "tiny"], ["cat", "dog", "bus", "kite"], ["on", "at"], ["a", "the"], ["road", "hill"]
    captions = [" ".join(chosen) for chosen in itertools.product(*words)] * 10
    data = build("captions", [(caption, None) for caption in captions])
    others = [captions[index] for index in torch.randperm(len(captions), generator=torch.Generator().manual_seed(1))]
    return data, others, [" ".join(caption.split()[::-1]) for caption in others]


@pytest.mark.parametrize("kind", [films, series, points, texts])
def test_samples_of_any_kind_are_told_from_data(kind):
    """So `--until c2st<=0.6` is the textbook's stopping rule for all of them."""
    data, real, others = kind()
    metric = metric_for(data, also="c2st")
    assert "c2st" not in metric_for(data)(lambda num: (real[:num], None))  # it takes its time
    alike = metric(lambda num: (real[:num], None))
    assert alike["c2st"] < 0.65
    assert alike["c2st_floor"] < 0.65
    assert metric(lambda num: (others[:num], None))["c2st"] > 0.85


def test_an_evaluation_tells_points_from_data():
    data, real, others = points()
    scores = [evaluate(data, lambda num, s=s: (s[:num], None), num=2000, report=print) for s in (real, others)]
    assert scores[0]["c2st"] < 0.55 < 0.85 < scores[1]["c2st"]
    assert "c2st" not in evaluate(data, lambda num: (real[:num], None), num=99, report=print)


def test_what_is_not_finite_is_told():
    broken = random(200, 4)
    broken[3, 1] = torch.nan
    assert classifier_two_sample(broken, random(200, 4, seed=1)) == 1


def test_long_series_are_told_too():
    data = sines(length=1500, channels=1, count=300)
    assert SeriesMetric(data).count == 66
    assert SeriesMetric(data, c2st=True).count == 100
    with pytest.raises(DataError, match="c2st needs 100 generated"):
        SeriesMetric(sines(length=12, count=150), c2st=True)
