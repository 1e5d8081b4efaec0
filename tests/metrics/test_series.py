import pytest
import torch

from sparring.data.channels import Channels
from sparring.data.dataset import TensorDataset
from sparring.data.sines import sines
from sparring.metrics import series as module
from sparring.metrics.series import SeriesMetric, evaluate_series, length_variation


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """The functions as they are, but with a few steps of training."""
    fit = module.fit_ts2vec
    monkeypatch.setattr(module, "fit_ts2vec", lambda real, **_: fit(real, iterations=5))
    for name in ("discriminative_scores", "predictive_scores"):
        score = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, score=score, **options: score(*a, steps=20, **options))


@pytest.fixture(scope="module")
def dataset():
    return sines(length=12, channels=3, count=300)


def sampler(dataset, change=lambda series: series, seed=1):
    """Other series of the same kind in their own units, which is what a metric is given."""

    def sample(count):
        other = sines(length=12, channels=3, count=count, seed=seed)
        return change(other.channels.restore(other.batch(torch.arange(count))[0])), None

    return sample


def constant(series):
    return series.mean(2, keepdim=True) + torch.zeros_like(series)


def test_metric_scores_real_series_like_the_floor_and_others_worse(dataset):
    metric = SeriesMetric(dataset)
    assert metric.count == 150
    good, bad = metric(sampler(dataset)), metric(sampler(dataset, constant))
    names = ("correlational", "autocorrelation", "context_frechet")
    assert good.keys() == {f"{name}{floor}" for name in names for floor in ("", "_floor")}
    assert good["autocorrelation"] < 2 * good["autocorrelation_floor"] < 0.5 * bad["autocorrelation"]
    assert good["context_frechet"] < 3 * good["context_frechet_floor"]
    assert good["correlational"] < 0.1
    assert bad["context_frechet"] > 4 * good["context_frechet"]
    alike = metric(sampler(dataset, lambda series: series[:, :1].expand_as(series)))
    assert alike["correlational"] > 3 * good["correlational"]
    assert metric(sampler(dataset)) == good


def test_metric_compares_in_the_units_of_the_data(dataset):
    """The set's own samples, restored, are its reals: as stored they are far from them."""
    metric = SeriesMetric(dataset)
    order = torch.randperm(300, generator=torch.Generator().manual_seed(0))
    reference = dataset.batch(order[:150])[0]
    assert metric(lambda n: (dataset.channels.restore(reference), None))["context_frechet"] == pytest.approx(
        0, abs=1e-3
    )
    assert metric(lambda n: (reference, None))["context_frechet"] > 1


def test_evaluation_reports_all_scores_with_their_floors(dataset):
    said = []
    scores = evaluate_series(dataset, sampler(dataset), repeats=2, report=said.append)
    names = ("discriminative", "predictive", "correlational", "autocorrelation", "context_frechet", "c2st")
    assert scores["encoder"] == module.ENCODER
    assert scores["count"] == 300
    assert scores.keys() - {"encoder", "count"} == {
        f"{name}{floor}{std}" for name in names for floor in ("", "_floor") for std in ("", "_std")
    }
    assert len(said) == 5
    spreads = [scores[f"{name}_std"] for name in names]
    assert all(spread >= 0 for spread in spreads)  # a share of right answers may be the same twice
    assert any(spread > 0 for spread in spreads)  # the repeats differ
    assert scores["discriminative"] < 0.2
    assert scores["predictive"] == pytest.approx(scores["predictive_floor"], rel=0.1)
    assert scores["context_frechet"] < 3 * scores["context_frechet_floor"]
    assert scores["c2st"] < 0.65
    assert scores == evaluate_series(dataset, sampler(dataset), repeats=2)
    bad = evaluate_series(dataset, sampler(dataset, constant), repeats=1)
    assert bad["context_frechet"] > 4 * scores["context_frechet"]
    assert bad["c2st"] > 0.9
    assert bad["predictive_std"] == 0
    for name in names:
        assert bad[f"{name}_floor"] == pytest.approx(scores[f"{name}_floor"], abs=0.1)


def test_as_many_samples_are_drawn_as_there_are_reals_up_to_a_limit(dataset, monkeypatch):
    drawn = []

    def sample(count):
        drawn.append(count)
        return sampler(dataset)(count)

    evaluate_series(dataset, sample, repeats=1)
    monkeypatch.setattr(module, "MOST", 40)
    evaluate_series(dataset, sample, repeats=1)
    monkeypatch.setattr(module, "_STEPS", 120)
    SeriesMetric(dataset)(sample)
    assert drawn == [300, 40, 10]


@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("masked", [False, True])
def test_few_series_of_one_channel_and_unequal_length(count, masked):
    channels = Channels(("a",), (10.0,), (2.0,), masked)
    own = torch.randn(count, 1, 4, generator=torch.Generator().manual_seed(0)) + 10
    if masked:
        own[0, :, 1:] = torch.nan
    few = TensorDataset(
        name="few",
        modality="series",
        sample_shape=(1 + masked, 4),
        classes=torch.zeros(count, dtype=torch.int64),
        class_names=[],
        fingerprint="few",
        value_range="",
        samples=channels.store(own),
        channels=channels,
    )
    scores = evaluate_series(few, lambda n: (own[:n] + 1, None), repeats=1)
    assert scores.pop("encoder") == module.ENCODER
    scores |= SeriesMetric(few)(lambda n: (own[:n] + 1, None))
    assert not any(name.startswith("correlational") for name in scores)
    assert any(name.startswith("length_tv") for name in scores) == masked
    assert torch.tensor(list(scores.values())).isfinite().all()


def test_random_state_is_left_alone(dataset):
    before = torch.get_rng_state()
    metric = SeriesMetric(dataset)
    series, _ = sampler(dataset)(300)
    with torch.no_grad():
        metric(lambda n: (series[:n], None))
        evaluate_series(dataset, lambda n: (series[:n], None), repeats=1)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("shape", "iterations"), [((100, 2, 2), None), ((100, 6, 24), None), ((3661, 6, 24), 259), ((50, 1, 5000), 26)]
)
def test_long_series_get_fewer_iterations_while_training(shape, iterations):
    assert module._iterations(torch.zeros(1).expand(shape)) == iterations


def test_lengths_are_compared():
    series = torch.zeros(4, 2, 6)
    shorter = series.clone()
    shorter[:2, :, 3:] = torch.nan
    assert length_variation(series, series) == 0
    assert length_variation(shorter, series) == 0.5
    assert length_variation(shorter.flip(0), shorter) == 0
