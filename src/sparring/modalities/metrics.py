"""The scores of samples: the metrics of their modality and the registered extra metrics."""

from collections.abc import Callable, Collection, Sequence
from functools import cache
from typing import Any

from sparring.data.dataset import DataError, Dataset
from sparring.metrics.metric import CombinedMetric, Metric, Sampler, extras_for
from sparring.modalities.registry import modality_of
from sparring.modalities.scoring import Comparison, Device


def metric_for(
    dataset: Dataset, *, extractor: str | None = None, also: str | None = None, device: Device = "cpu"
) -> Metric | None:
    """The metric of a training run; None if nothing can be scored.

    Images are compared in the features of an `extractor`, on the `device`. `also` adds one slower metric: any of
    `images.METRICS` for images, `c2st` for all other data.
    """
    scoring = modality_of(dataset).scoring
    if extractor is not None and not scoring.extractor_in_training:
        raise DataError("--train.extractor is for pictures, and these are none: drop it")
    own = scoring.metric(dataset, extractor=extractor, also=also, device=device)
    count = None if own is None else own.count
    return CombinedMetric.of([*([own] if own else []), *(extra.make(dataset, count) for extra in extras_for(dataset))])


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
    """All scores, or the named `metrics`, each with the score of real samples (`_floor`).

    It is slower than the metric of a training run: for series, classifiers and predictors are trained `repeats` times
    (5); for texts, language models are trained. Texts can be compared with `reference` texts instead of the set's
    held-out ones. At most `num` samples are compared, and no more than there are real ones. Images are compared in the
    features of an `extractor` (`extractors.make_extractor`), clips in those of I3D if given (`i3d:FILE`), on the
    `device`. Copies are searched for only if the generator was `trained_on` this data. Raises `DataError` if a named
    metric is unknown or cannot be computed.
    """
    scoring = modality_of(dataset).scoring
    if extractor is not None and not scoring.extractor:
        raise DataError("--extractor is for pictures and clips, and these are none: drop it")
    if repeats is not None and not scoring.repeats:
        raise DataError("--repeats is for the networks that score series, and these are none: drop it")
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
