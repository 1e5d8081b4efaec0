import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from sparring.data.sines import sines
from sparring.metrics.series_scores import (
    _GRUs,
    autocorrelation_score,
    context_frechet,
    correlational_score,
    discriminative_score,
    discriminative_scores,
    predictive_score,
    predictive_scores,
    steps_of,
)


def draw(count, seed, channels=6, length=8):
    """Series of sines in units far from [0, 1]."""
    dataset = sines(length=length, channels=channels, count=count, seed=seed)
    stored, _ = dataset.batch(torch.arange(count))
    return 1000 * dataset.channels.restore(stored) + 7000


def shuffled(series):
    order = torch.argsort(torch.rand(series.shape, generator=torch.Generator().manual_seed(0)), 2)
    return series.gather(2, order)


@pytest.fixture(scope="module")
def real():
    return draw(400, 0)


@pytest.fixture(scope="module")
def alike():
    return draw(400, 1)


def test_grus_are_those_of_torch():
    torch.manual_seed(0)
    series = torch.randn(2, 5, 7, 4)  # two models, five series of seven steps
    ours = _GRUs([torch.Generator().manual_seed(seed) for seed in range(2)], 4, 3)
    logits = ours(series)
    logits.square().sum().backward()
    for model in range(2):
        gru, linear = nn.GRU(4, 3, batch_first=True), nn.Linear(3, 1)
        theirs = [*gru.parameters(), *linear.parameters()]
        for weight, own in zip(theirs, ours.weights, strict=True):
            weight.data.copy_(own[model].reshape(weight.shape))
        expected = linear(gru(series[model])[0])[..., 0]
        torch.testing.assert_close(logits[model], expected)
        expected.square().sum().backward()
        for weight, own in zip(theirs, ours.weights, strict=True):
            torch.testing.assert_close(own.grad[model].reshape(weight.shape), weight.grad, rtol=1e-4, atol=1e-5)


def test_discriminative_score_orders_as_it_should(real, alike):
    scores = [discriminative_score(real, fake, seed=0, steps=300) for fake in (alike, shuffled(real), real + 2000)]
    assert scores[0] < 0.15
    assert scores[1] > 0.25
    assert scores[2] == 0.5


def test_predictive_score_orders_as_it_should(real, alike):
    top = real.clone()
    top[:, -1] = real[:, -1].max()
    own, same, wrong = (predictive_score(real, fake, seed=0, steps=300) for fake in (real, alike, top))
    assert same == pytest.approx(own, rel=0.05)
    assert own < 0.2
    assert wrong > 0.35


def test_predictive_score_knows_what_follows_from_what():
    """The last channel is the first, a step later: learnt from the reals, and not where time is shuffled."""
    first = torch.rand(300, 1, 6, generator=torch.Generator().manual_seed(0))
    real = torch.cat([first[..., 1:], first[..., :-1]], 1)
    own, wrong = (predictive_score(real, fake, seed=0, steps=700) for fake in (real, shuffled(real)))
    assert own < 0.7 * wrong


def test_a_single_channel_is_predicted_from_itself(real):
    one = real[:, :1]
    own, wrong = (predictive_score(one, fake, seed=0, steps=600) for fake in (one, shuffled(one)))
    assert own < 0.6 * wrong


def test_units_do_not_matter(real, alike):
    scale = torch.tensor([[2.0], [0.25], [8.0], [1.0], [4.0], [0.5]])  # powers of two round alike
    for score in (discriminative_score, predictive_score):
        scores = [score(real * factor, alike * factor, seed=0, steps=20) for factor in (scale, 1)]
        assert scores[0] == scores[1]
    expected = correlational_score(real, alike)
    assert correlational_score(real * scale + 7, alike * scale + 7) == pytest.approx(expected, abs=1e-3)
    flipped = -scale.clone()
    assert correlational_score(real * flipped, alike * flipped) == pytest.approx(expected, abs=1e-3)


def test_side_by_side_is_one_by_one(real, alike):
    for many, one in ((discriminative_scores, discriminative_score), (predictive_scores, predictive_score)):
        together = many(real, alike, seeds=[3, 4], steps=30)
        assert together == pytest.approx([one(real, alike, seed=seed, steps=30) for seed in (3, 4)], abs=0.01)
        assert together == many(real, alike, seeds=[3, 4], steps=30)
    assert together[0] != together[1]


def test_random_state_is_left_alone(real, alike):
    before = torch.get_rng_state()
    with torch.no_grad():  # as an evaluation may run
        discriminative_score(real, alike, seed=0, steps=2)
        predictive_score(real, alike, seed=0, steps=2)
    assert torch.equal(before, torch.get_rng_state())


def test_correlational_score_by_hand():
    """Over all steps of both series together the real channels are as 1, 2, 3, 4 and themselves (r = 1); the fake ones
    have r = 0.6, and a third channel none with either (0 among the real, 0 among the fake)."""
    flat = torch.ones(2, 1, 2)
    up = torch.tensor([[1.0, 2.0], [3.0, 4.0]])[:, None]
    mixed = torch.tensor([[2.0, 1.0], [4.0, 3.0]])[
        :, None
    ]  # deviations .5 * (-1, -3, 3, 1) with (-3, -1, 1, 3): 12 / 20
    real, fake = torch.cat([up, up, flat], 1), torch.cat([up, mixed, flat], 1)
    assert correlational_score(real, fake) == pytest.approx(0.4 / 10, abs=1e-6)
    assert correlational_score(real, torch.cat([up, -up, flat], 1)) == pytest.approx(2 / 10, abs=1e-6)
    assert correlational_score(real, torch.cat([up, flat, flat], 1)) == pytest.approx(1 / 10, abs=1e-6)
    assert correlational_score(real, real) == 0
    assert correlational_score(up, mixed) == 0


def test_autocorrelation_score_sees_what_trembles_and_what_is_too_smooth():
    torch.manual_seed(0)
    noise = torch.randn(400, 2, 40)
    half = torch.empty(800, 2, 40)  # of an autoregression: 0.5, 0.25, ... but for the mean of a short series
    half[..., 0] = torch.randn(800, 2)
    for step in range(1, 40):
        half[..., step] = 0.5 * half[..., step - 1] + 0.75**0.5 * torch.randn(800, 2)
    assert autocorrelation_score(half[:400], half[400:]) < 0.02
    assert autocorrelation_score(1e-7 * half[:400] + 3, 1e-7 * half[:400] + 3) == 0
    powers = sum(0.5**lag for lag in range(1, 20)) / 19
    assert autocorrelation_score(half[:400], noise) == pytest.approx(powers, abs=0.03)
    smooth = noise.mean(2, keepdim=True) + torch.linspace(-1, 1, 40)
    assert autocorrelation_score(half[:400], smooth) > 0.2
    ended = half.clone()
    ended[..., 30:] = torch.nan
    assert autocorrelation_score(ended[:400], ended[400:]) < 0.03
    assert autocorrelation_score(half[:, :1] * 0, half[:, :1] * 0 + 1) == 0


def test_correlational_score_agrees_with_numpy():
    torch.manual_seed(0)
    real, fake = torch.randn(50, 4, 6).cumsum(1), torch.randn(30, 4, 6)
    matrices = [torch.corrcoef(x.double().transpose(0, 1).flatten(1)) for x in (real, fake)]
    expected = sum(abs(matrices[0] - matrices[1])[i, j].item() for i in range(4) for j in range(i)) / 10
    assert correlational_score(real, fake) == pytest.approx(expected, rel=1e-4)


def test_context_frechet_compares_features(real):
    def encoder(series):
        return series.mean(2)

    assert context_frechet(real, real, encoder) == pytest.approx(0, abs=1e-2)
    assert context_frechet(real, real + 100, encoder) == pytest.approx(6 * 100**2, rel=1e-2)


def test_what_lies_beyond_an_end_does_not_count(real, alike):
    generator = torch.Generator().manual_seed(0)
    both = []
    for series in (real, alike):
        ends = torch.randint(1, 9, (len(series), 1, 1), generator=generator)
        beyond = torch.arange(8) >= ends
        nan = series.masked_fill(beyond, torch.nan)
        assert torch.equal(steps_of(nan), ~beyond[:, 0])
        # One NaN ends a series: what the other channels hold there and later is garbage.
        garbage = torch.where(torch.arange(8) == ends, torch.nan, series * 1e9).where(beyond, series)
        garbage[:, 1:] = torch.where(beyond, 1e9, series)[:, 1:]
        both.append((nan, garbage))
    (real, real_garbage), (fake, fake_garbage) = both
    for score in (discriminative_score, predictive_score):
        expected = score(real, fake, seed=0, steps=20)
        short = torch.nn.functional.pad(real, (0, 3), value=torch.nan)
        longer = torch.nn.functional.pad(fake, (0, 3), value=torch.nan)
        assert score(short, longer, seed=0, steps=20) == pytest.approx(expected, abs=1e-5)
        assert score(real_garbage, fake_garbage, seed=0, steps=20) == expected
    assert correlational_score(real_garbage, fake_garbage) == pytest.approx(correlational_score(real, fake))


def test_lengths_alone_tell_series_apart(real, alike):
    short = alike.masked_fill(torch.arange(8) >= 3, torch.nan)
    assert discriminative_score(real, short, seed=0, steps=300) > 0.3


def test_series_that_cannot_be_scored_are_refused(real):
    with pytest.raises(ValueError, match="not series like"):
        correlational_score(real, real[:, :2])
    for value in (torch.nan, torch.inf):
        with pytest.raises(ValueError, match="infinite values, or start with NaN"):
            discriminative_score(real, real.clone().index_fill(0, torch.tensor([3]), value), seed=0)
    with pytest.raises(ValueError, match="one step"):
        predictive_score(real[..., :1], real[..., :1], seed=0)
    with pytest.raises(ValueError, match="at least two"):
        discriminative_score(real, real[:1], seed=0)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(2, 9), st.integers(2, 300), st.integers(1, 7), st.integers(2, 9), st.booleans(), st.integers(0, 2**40)
)
def test_any_shape_gives_a_score_in_range(reals, fakes, channels, length, masked, seed):
    generator = torch.Generator().manual_seed(seed)

    def make(count):
        series = torch.randn(count, channels, length, generator=generator) * 10.0 ** (seed % 13 - 6)
        series[:, -1] = series[:, -1] * (seed % 2)  # a constant channel
        ends = torch.randint(1, length + 1, (count, 1, 1), generator=generator)
        ends[0] = length
        return series.masked_fill((torch.arange(length) >= ends) & masked, torch.nan)

    real, fake = make(reals), make(fakes)
    assert 0 <= discriminative_score(real, fake, seed=seed, steps=2) <= 0.5
    assert 0 <= predictive_score(real, fake, seed=seed, steps=2) <= 1
    assert 0 <= correlational_score(real, fake) <= channels * (channels - 1) / 10
