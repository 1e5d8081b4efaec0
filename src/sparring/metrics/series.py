"""Scores of generated time series, each with the score of real series."""

from collections import Counter
from collections.abc import Callable, Collection
from itertools import product
from statistics import fmean, stdev
from typing import Any

import torch
from torch import Tensor

from sparring.data.dataset import DataError, Dataset
from sparring.metrics.frechet import frechet_distance
from sparring.metrics.metric import Metric, Sampler, chosen_of
from sparring.metrics.series_scores import (
    autocorrelation_score,
    correlational_score,
    discriminative_scores,
    predictive_scores,
)
from sparring.metrics.texts import total_variation
from sparring.metrics.ts2vec import MAX_STEPS, Encoder, fit_ts2vec
from sparring.metrics.two_sample import FEWEST, check_enough, classifier_two_sample, without_few

ENCODER = "ts2vec (trained on the reference, seed 0)"
SAMPLES = 1000
METRICS = ("discriminative", "predictive", "correlational", "autocorrelation", "context_frechet", "c2st", "length_tv")
OTHER_NAMES = dict.fromkeys(("fd", "frechet"), "context_frechet")
REPEATS = 5
MOST = 10_000
"""The most series that `evaluate_series` compares."""

_STEPS = 100_000  # of all series that are encoded during training
_NUMBERS = 50_000_000  # in the real series: 200 MB
_WORK = 14_000  # iterations times steps of a fit that takes about 20 seconds on one core


class SeriesMetric(Metric):
    """Compares 1,000 samples with 1,000 real series; fewer if the set has less than 2,000 series, or if they are longer
    than 100 steps.

    The first call fits the encoder in about 20 seconds on one core. From 20 steps on, this takes fewer iterations than
    `fit_ts2vec` has, so that `context_frechet` is comparable only within one data set, and not with `evaluate_series`.
    """

    def __init__(self, dataset: Dataset, *, c2st: bool = False) -> None:
        """`c2st` adds the classifier two-sample test in the encoder's features."""
        self.dataset = dataset
        steps = dataset.sample_shape[1]
        self.count = max(2, min(SAMPLES, len(dataset) // 2, max(_STEPS // steps, FEWEST if c2st else 0)))
        self.c2st = c2st
        if c2st:
            check_enough(self.count)
        self.encoder: Encoder | None = None

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """Scores series in the data's units. Returns `context_frechet`, `autocorrelation`, `correlational` (with two or
        more channels), `length_tv` (if real series end at different steps) and `c2st` (if chosen), each with its
        `_floor`, the score of as many other real series."""
        if self.encoder is None:
            self._fit()
        series = sample(self.count)[0]
        return self._scores(series) | self.floor

    def _fit(self) -> None:
        real = _real(self.dataset, 0)
        self.encoder = fit_ts2vec(real, iterations=_iterations(real))
        self.reference, others = real[: self.count], real[-self.count :]
        self.features = self.encoder(self.reference)
        self.floor = {f"{name}_floor": score for name, score in self._scores(others).items()}

    def _scores(self, series: Tensor) -> dict[str, float]:
        assert self.encoder is not None
        features = self.encoder(series)
        scores = {"context_frechet": frechet_distance(features, self.features)}
        scores["autocorrelation"] = autocorrelation_score(self.reference, series)
        if self.reference.shape[1] > 1:
            scores["correlational"] = correlational_score(self.reference, series)
        if self.reference.isnan().any():
            scores["length_tv"] = length_variation(series, self.reference)
        if self.c2st:
            scores["c2st"] = classifier_two_sample(features, self.features)
        return scores


def evaluate_series(
    dataset: Dataset,
    sample: Sampler,
    *,
    repeats: int = REPEATS,
    seed: int = 0,
    num: int = MOST,
    metrics: Collection[str] | None = None,
    report: Callable[[str], object] = lambda doing: None,
) -> dict[str, Any]:
    """Returns the named `METRICS`, or all (`correlational` needs two channels, `length_tv` series that end at different
    steps): the mean over repeats, its `_std`, and the same for real series (`_floor`, `_floor_std`); also the
    `encoder`, if used, and the `count` of series in each set.

    There are as many samples as real series, `num` at most, in the data's units. For `discriminative` and `predictive`,
    a repeat is a GRU with another seed, trained as published on all series; the floor classifies the two halves of the
    real series, or trains the predictor on the real series. The other scores depend on the number of series: their
    repeats compare another half of the real series with as many samples, and for the floor with the other half.

    `report` receives progress messages. Series of 24 steps take about four minutes on one core, longer series more.
    """
    named = metrics is not None
    if metrics is None:
        metrics = METRICS
    else:
        metrics = chosen_of(METRICS, metrics, dataset, OTHER_NAMES)
        channels = len(dataset.channels.names) if dataset.channels else dataset.sample_shape[0]
        if "correlational" in metrics and channels < 2:
            raise DataError("correlational compares channels, and these series have only one")
        if "length_tv" in metrics and not (dataset.channels and dataset.channels.masked):
            raise DataError("length_tv compares lengths, and all series are of one length")
    if num < 4:
        raise DataError(f"{num} series are too few for a comparison: 4 are needed")
    real = _real(dataset, seed)[:num]
    fake = sample(len(real))[0].detach().to("cpu", torch.float32)
    seeds = range(seed, seed + repeats)
    metrics = without_few(metrics, len(real) // 2, named=named)
    facts: dict[str, Any] = {"count": len(real)}
    found: dict[str, list[float]] = {}
    in_features: dict[str, Callable[[Tensor, Tensor], float]] = {
        "context_frechet": frechet_distance,
        "c2st": classifier_two_sample,
    }
    if chosen := [name for name in in_features if name in metrics]:
        facts = {"encoder": ENCODER} | facts
        report(f"fitting {ENCODER}")
        encoder = fit_ts2vec(real)
        features = encoder(real), encoder(fake)
        for name, (first, second) in product(chosen, [_halves(len(real), number) for number in seeds]):
            score = in_features[name]
            found.setdefault(name, []).append(score(features[1][first], features[0][first]))
            found.setdefault(f"{name}_floor", []).append(score(features[0][second], features[0][first]))
    by_halves = {
        "correlational": (correlational_score, real.shape[1] > 1),
        "autocorrelation": (autocorrelation_score, True),
        "length_tv": (length_variation, bool(real.isnan().any())),
    }
    for name, (score, possible) in by_halves.items():
        if name in metrics and possible:
            for first, second in (_halves(len(real), number) for number in seeds):
                found.setdefault(name, []).append(score(real[first], fake[first]))
                found.setdefault(f"{name}_floor", []).append(score(real[first], real[second]))
    first, second = _halves(len(real), seed)
    if "discriminative" in metrics:
        report(f"discriminative: {repeats} GRUs classify real and generated series")
        found["discriminative"] = discriminative_scores(real, fake, seeds=seeds)
        report(f"discriminative: {repeats} GRUs classify the two halves of the real series")
        found["discriminative_floor"] = discriminative_scores(real[first], real[second], seeds=seeds)
    if "predictive" in metrics:
        report(f"predictive: {repeats} GRUs train on generated series")
        found["predictive"] = predictive_scores(real, fake, seeds=seeds)
        report(f"predictive: {repeats} GRUs train on real series")
        found["predictive_floor"] = predictive_scores(real, real, seeds=seeds)
    spread = {f"{name}_std": stdev(runs) if repeats > 1 else 0.0 for name, runs in found.items()}
    return facts | {name: fmean(runs) for name, runs in found.items()} | spread


def length_variation(first: Tensor, second: Tensor) -> float:
    """The total variation distance of the lengths of series (N, C, T) and (M, C, T), NaN beyond their ends."""
    lengths = [Counter((~series.isnan().all(1)).sum(1).tolist()) for series in (first, second)]
    return total_variation(*lengths)


def _real(dataset: Dataset, seed: int) -> Tensor:
    """At most 10,000 series of the set in the data's units, in random order: (N, C, T)."""
    channels, steps = dataset.sample_shape
    count = min(len(dataset), MOST, max(4, _NUMBERS // (channels * steps)))
    order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
    stored, _ = dataset.batch(order[:count])
    return stored if dataset.channels is None else dataset.channels.restore(stored)


def _halves(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """The indices of two halves, of at least two; they overlap if there are fewer than four."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    half = max(2, count // 2)
    return order[:half], order[-half:]


def _iterations(real: Tensor) -> int | None:
    """The number of iterations of a fit; None for the default of `fit_ts2vec`."""
    usual = 200 if real.numel() <= 100_000 else 600
    affordable = _WORK // (min(real.shape[2], MAX_STEPS) + 30)
    return affordable if affordable < usual else None
