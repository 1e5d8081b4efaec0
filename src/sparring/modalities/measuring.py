"""Measures samples: by their modality's own metrics, and beside them by registered ones."""

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

from sparring.data.dataset import DataError, Dataset
from sparring.metrics.metric import Metric, Sampler, Together, extras_for
from sparring.modalities.registry import modality_of
from sparring.modalities.scoring import Comparison, Device


def metric_for(
    dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
) -> Metric | None:
    """The metric of a training run; None where nothing is measured.

    Pictures are compared in the features of an `extractor`, on the `device`. `also` is one more metric, not measured
    by default as it takes its time: any of `images.METRICS` for pictures, `c2st` for all others.
    """
    scoring = modality_of(dataset).scoring
    if extractor is not None and not scoring.extractor_in_training:
        raise DataError("--train.extractor looks at pictures, and these are none: drop it")
    own = scoring.metric(dataset, extractor=extractor, also=also, device=device)
    count = None if own is None else own.count
    return Together.of([*([own] if own else []), *(extra.make(dataset, count) for extra in extras_for(dataset))])


def evaluate(
    dataset: Dataset,
    sample: Sampler,
    *,
    repeats: int | None = None,
    seed: int = 0,
    reference: Sequence[str] | None = None,
    extractor: str | None = None,
    metrics: Collection[str] | None = None,
    num: int = 10_000,
    trained_on: bool = True,
    device: Device = "cpu",
    report: Callable[[str], None],
) -> dict[str, Any]:
    """All scores that can be measured, or the named `metrics`, each beside its `_floor`, that of real data.

    Slower than the metric of a run: for series, classifiers and predictors are trained `repeats` times (5), for texts,
    language models. Texts can be compared with other `reference` texts than the held-out ones. At most `num` samples
    are compared, fewer where there are fewer real ones; pictures in the features of an `extractor`
    (`extractors.make_extractor`), clips in those of I3D (`i3d:FILE`) where it is given, on the `device`. Copies are
    looked for only in data that the generator was `trained_on`. Raises `DataError` for a metric that is
    named and not known or cannot be measured.
    """
    scoring = modality_of(dataset).scoring
    if extractor is not None and not scoring.extractor:
        raise DataError("--extractor looks at pictures and clips, and these are none: drop it")
    if repeats is not None and not scoring.repeats:
        raise DataError("--repeats is for the networks that series are scored by, and these are none: drop it")
    extras = {extra.name: extra for extra in extras_for(dataset)}
    own = None if metrics is None else [name for name in metrics if name not in extras]
    how = Comparison(
        num=num, seed=seed, repeats=repeats, reference=reference, extractor=extractor, metrics=own,
        trained_on=trained_on, device=device, report=report,
    )  # fmt: skip
    drawn = cache(sample) if extras else sample  # metrics that want as many get the same ones
    scores = scoring.evaluate(dataset, drawn, how)
    for name, extra in extras.items():
        if metrics is None or name in metrics:
            scores |= extra.make(dataset, scores["count"])(drawn)
    return scores
