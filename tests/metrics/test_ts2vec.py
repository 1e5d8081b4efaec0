import pytest
import torch
import torch.nn.functional as F

from sparring.metrics.ts2vec import (
    FEATURES,
    _centred,
    _contrast,
    _convolve,
    _hierarchical,
    _loss,
    _prepared,
    fit_ts2vec,
)


def waves(count, seed, frequency=0.5, length=16):
    """Two channels of sines of one frequency and any phase, in units far from [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    phase = 6.28 * torch.rand(count, 1, 1, generator=generator)
    angle = frequency * torch.arange(length) + phase
    noise = torch.randn(count, 2, length, generator=generator)
    return torch.cat([angle.sin(), angle.cos()], 1) * 100 + 500 + noise


@pytest.fixture(scope="module")
def encoder():
    return fit_ts2vec(waves(60, 0), iterations=20)


def test_like_series_have_like_features(encoder):
    """Two halves of one kind are closer than kinds are: in their mean features, and series by series."""
    slow, others, fast = encoder(waves(60, 1)), encoder(waves(60, 2)), encoder(waves(60, 3, frequency=2.0))
    assert slow.shape == (60, FEATURES)
    assert (slow.mean(0) - fast.mean(0)).norm() > 4 * (slow.mean(0) - others.mean(0)).norm()
    nearest = torch.cdist(slow, torch.cat([others, fast])).argmin(1)
    assert (nearest < 60).double().mean() > 0.9


def test_noise_changes_features_less_than_another_phase(encoder):
    series = waves(60, 1)
    noisy = series + 5 * torch.randn(series.shape, generator=torch.Generator().manual_seed(4))
    nearest = torch.cdist(encoder(noisy), encoder(series)).argmin(1)
    distance = (encoder(noisy) - encoder(series)).norm(dim=1)
    assert distance.mean() < torch.cdist(encoder(series), encoder(series)).mean()
    assert (nearest == torch.arange(60)).double().mean() > 0.3


def test_training_lowers_the_loss():
    series = waves(60, 0)
    low, span = series.amin((0, 2))[:, None], torch.full((2, 1), 200.0)
    values, there = _prepared(series, low, span)

    def loss(iterations):
        network = fit_ts2vec(series, iterations=iterations).network.train()
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(0)
            return sum(_loss(network, values[:8], there[:8]).item() for _ in range(10))

    assert loss(25) < 0.8 * loss(0)


def test_same_seed_same_features_and_random_state_left_alone():
    series = waves(20, 0)
    torch.manual_seed(5)
    before = torch.get_rng_state()
    with torch.no_grad():  # as an evaluation may run
        first = fit_ts2vec(series, seed=3, iterations=2)(series)
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(6)
    assert torch.equal(first, fit_ts2vec(series, seed=3, iterations=2)(series))
    assert not torch.equal(first, fit_ts2vec(series, seed=4, iterations=2)(series))


def test_batches_do_not_matter(encoder, monkeypatch):
    series = waves(10, 1)
    expected = encoder(series)
    monkeypatch.setattr("sparring.metrics.ts2vec._AT_ONCE", 40)
    torch.testing.assert_close(encoder(series), expected, rtol=1e-4, atol=1e-4)


def test_units_do_not_matter():
    series = waves(20, 0)
    scaled = series * torch.tensor([[4.0], [0.5]])
    assert torch.equal(fit_ts2vec(series, iterations=1)(series), fit_ts2vec(scaled, iterations=1)(scaled))


def test_what_lies_beyond_an_end_does_not_count():
    series = waves(20, 0)
    beyond = torch.arange(16) >= torch.arange(1, 21).clamp(max=16)[:, None, None]
    nan = series.masked_fill(beyond, torch.nan)
    garbage = nan.clone()
    garbage[:, 1:] = torch.where(beyond, 1e9, series)[:, 1:]
    features = [fit_ts2vec(x, iterations=2)(x) for x in (nan, garbage)]
    assert features[0].isfinite().all()
    assert torch.equal(*features)
    assert not torch.equal(features[0], fit_ts2vec(series, iterations=2)(series))


def test_shorter_series_are_centred():
    values = torch.arange(1.0, 7).repeat(2, 1, 1)
    there = torch.tensor([[True] * 6, [True, True, False, False, False, False]])
    moved, present = _centred(values * there[:, None], there)
    assert moved[0, 0].tolist() == [1, 2, 3, 4, 5, 6]
    assert moved[1, 0].tolist() == [0, 0, 1, 2, 0, 0]
    assert present[1].tolist() == [False, False, True, True, False, False]


def test_convolutions_wider_than_a_series_only_see_their_middle():
    conv = torch.nn.Conv1d(3, 4, 3, padding=8, dilation=8)
    for steps in (2, 8, 9):
        x = torch.randn(2, 3, steps)
        torch.testing.assert_close(_convolve(conv, x), conv(x))


def test_contrast_by_hand():
    """Of the four vectors of a group, each must find its other view among three."""
    first, second = torch.tensor([[[1.0, 0.0], [0.0, 2.0]]]), torch.tensor([[[1.0, 1.0], [0.0, 1.0]]])
    vectors = torch.cat([first[0], second[0]]).tolist()
    losses = []
    for mine, other in ((0, 2), (1, 3), (2, 0), (3, 1)):
        likeness = {
            j: sum(a * b for a, b in zip(vectors[mine], vectors[j], strict=True)) for j in range(4) if j != mine
        }
        losses.append(torch.tensor(list(likeness.values())).logsumexp(0) - likeness[other])
    assert _contrast(first, second).item() == pytest.approx(sum(losses).item() / 4, rel=1e-5)
    assert _contrast(first[:, :1], second[:, :1]) == 0


def test_loss_is_the_mean_over_time_scales():
    first, second = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))  # (B, D, T) each
    expected = []
    for steps in (4, 2, 1):
        one, other = (F.adaptive_max_pool1d(view, steps) for view in (first, second))
        instances = _contrast(one.permute(2, 0, 1), other.permute(2, 0, 1))
        expected.append((_contrast(one.transpose(1, 2), other.transpose(1, 2)) + instances) / 2)
    assert _hierarchical(first, second).item() == pytest.approx(sum(expected).item() / 3, rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 1, 3), (9, 4, 2), (3, 2, 33), (2, 1, 40)])
@pytest.mark.parametrize("masked", [False, True])
def test_any_shape_gives_features(shape, masked, monkeypatch):
    monkeypatch.setattr("sparring.metrics.ts2vec.MAX_STEPS", 30)
    series = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    series[:, 0] = 1  # constant
    if masked:
        series[-1, :, 1:] = torch.nan
    features = fit_ts2vec(series, iterations=2)(series)
    assert features.shape == (shape[0], FEATURES)
    assert features.isfinite().all()


def test_series_of_one_step_are_refused():
    with pytest.raises(ValueError, match="one step"):
        fit_ts2vec(torch.zeros(3, 2, 1))
