"""What can be measured of samples: their modality's own metrics, and beside them those that others registered."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from sparring.data.dataset import DataError, Dataset
from sparring.metrics.metric import Metric, Sampler, Together, extras_for
from sparring.modalities.registry import modality_of
from sparring.modalities.scoring import Comparison, Device


def metric_for(
    dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
) -> Metric | None:
    """What a run measures while it trains; None where there is nothing.

    Pictures are compared in the features of an `extractor`; `also` is one more metric that is not measured otherwise,
    as it takes its time: of pictures any of `images.METRICS`, of all others `c2st`. Extractors work on the `device`.
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
    """All that can be measured, or the `metrics` named, beside what real data gets (`_floor`).

    Slower than what a run measures of series and texts: of series classifiers and predictors are trained `repeats`
    times (5), of texts language models. Texts can be compared with other `reference` texts than the set's own held-out
    ones. `num` samples are compared at most, as far as there are as many real ones; pictures in the features of an
    `extractor` (`extractors.make_extractor`), clips in those of I3D (`i3d:FILE`) where it is given, on the `device`;
    copies are looked for only in what the samples' maker was `trained_on`. Raises `DataError` for a metric that is
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
    scores = scoring.evaluate(dataset, sample, how)
    for name, extra in extras.items():
        if metrics is None or name in metrics:
            scores |= extra.make(dataset, scores["count"])(sample)
    return scores
