"""What can be measured of samples. A data set that knows how it is scored says so by what it holds."""

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Protocol

import torch
from torch import Tensor

from sparring.data.dataset import DataError, Dataset, printable

UNCOVERED = 0.25
"""Samples with less than this share of real ones' recall count as collapsed."""
FEW_TEXTS = 0.8
"""So do texts of which less than this share of real ones' differ."""
COPIED = 0.25
"""By so much more than of real texts may be copied from the data. The names and captions of docs/results.md: 0.1 at
most, and 0.97 or more of `FEW_TEXTS`."""

DISTANCES = {
    "frechet": "Fréchet",
    "fid": "FID",
    "frechet_clips": "Fréchet of clips",
    "context_frechet": "Fréchet of series",
}
"""What is shown while training and plotted, each beside its `_floor`."""

Sampler = Callable[[int], tuple[Any, Tensor | None]]
"""n -> n samples as `GAN.sample` gives them, and the classes they were made for, or None."""


class Metric(Protocol):
    """Scores samples against a data set; the names are those of `metrics.jsonl`."""

    def __call__(self, sample: Sampler) -> dict[str, float]: ...


def metric_for(
    dataset: Dataset,
    *,
    extractor: str | None = None,
    also: str | None = None,
    device: torch.device | str = "cpu",
) -> Metric | None:
    """What a run measures while it trains; None where there is nothing yet.

    Pictures are compared in the features of an `extractor`; `also` is one more of `images.METRICS` for them, which is
    not measured otherwise as it takes its time, and so is `c2st` for all others. Extractors of pictures and clips look
    on the `device`.
    """
    if extractor is not None and not are_pictures(dataset):
        raise DataError("--train.extractor looks at pictures, and these are none: drop it")
    told = also == "c2st"
    if dataset.vocabulary is not None:
        from sparring.metrics.texts import TextMetric

        return TextMetric(dataset, told=told)
    if dataset.channels is not None:
        from sparring.metrics.series import SeriesMetric

        return SeriesMetric(dataset, told=told)
    if are_pictures(dataset):
        from sparring.metrics.images import image_metric

        return image_metric(dataset, extractor, also, device)
    if are_clips(dataset) and len(dataset.held_out or dataset) >= 4:
        from sparring.metrics.clips import ClipMetric, possible

        wanted = [name for name in possible(dataset) if name != "c2st" or told]
        return ClipMetric(dataset, metrics=wanted, device=device)
    if dataset.name in ("rings", "grid"):
        from sparring.metrics.modes import ModeMetric

        return ModeMetric(dataset, told=told)
    return None


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
    device: torch.device | str = "cpu",
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
    if extractor is not None and not (are_pictures(dataset) or are_clips(dataset)):
        raise DataError("--extractor looks at pictures and clips, and these are none: drop it")
    if repeats is not None and dataset.channels is None:
        raise DataError("--repeats is for the networks that series are scored by, and these are none: drop it")
    if dataset.vocabulary is not None:
        from sparring.metrics.texts import evaluate_texts

        return evaluate_texts(dataset, sample, seed=seed, reference=reference, num=num, metrics=metrics, report=report)
    if are_pictures(dataset):
        from sparring.metrics import images

        chosen = extractor or images.default_extractor(dataset)
        report(f"comparing pictures in the features of the extractor {chosen}")
        evaluation = images.ImageEvaluation(
            dataset, num=num, extractor=chosen, seed=seed, metrics=metrics, trained_on=trained_on, device=device
        )
        return evaluation.facts | evaluation(sample)
    if dataset.channels is not None:
        from sparring.metrics import series

        return series.evaluate_series(
            dataset, sample, repeats=repeats or series.REPEATS, seed=seed, num=num, metrics=metrics, report=report
        )
    if are_clips(dataset):
        from sparring.metrics.clips import ClipMetric

        extractor = extractor or "untrained"
        report(f"comparing clips in the features of the extractor {extractor}")
        clips = ClipMetric(dataset, num=num, metrics=metrics, extractor=extractor, device=device)
        return clips.facts | clips(sample)
    if metrics is not None:
        raise DataError("--metrics is for pictures, clips, series and texts, and these are points: drop it")
    from sparring.metrics.modes import ModeMetric
    from sparring.metrics.two_sample import FEWEST

    modes = ModeMetric(dataset, num, told=num >= FEWEST)
    return modes.facts | modes(sample)


def chosen_of(
    known: Sequence[str], wanted: Collection[str], other_names: Mapping[str, str] = MappingProxyType({})
) -> tuple[str, ...]:
    """The `known` metrics among the wanted, or what these are else called; raises `DataError` for one that is not
    known."""
    wanted = [other_names.get(name, name) for name in wanted]
    if unknown := [name for name in wanted if name not in known]:
        raise DataError(f"there is no metric {unknown[0]} here: choose among {', '.join(known)}")
    return tuple(name for name in known if name in wanted)


def warnings_of(scores: Mapping[str, Any]) -> list[str]:
    """What a reader of the scores should not miss, in plain words."""
    found = []
    if scores.get("repeats", 0) > 0.2 + scores.get("repeats_floor", 0):
        found.append(
            f"collapse: {scores['repeats']:.0%} of the samples all but repeat another one (real ones: "
            f"{scores['repeats_floor']:.0%})"
        )
    if scores.get("recall", 1) < UNCOVERED * scores.get("recall_floor", 1):
        found.append(
            f"collapse: the samples cover {scores['recall']:.0%} of the data (real ones: {scores['recall_floor']:.0%})"
        )
    elif lost := _lost_classes(scores):
        shown = ", ".join(f"of {name} {recall:.0%} (real ones: {floor:.0%})" for name, recall, floor in lost[:5])
        more = f", of {len(lost) - 5} more as little" if len(lost) > 5 else ""
        found.append(f"collapse within a class: the samples cover {shown}{more}")
    copies, searched = scores.get("near_copies", 0), scores.get("near_copies_searched", 1)
    beyond = copies - scores.get("near_copies_floor", 0)
    if beyond > max(0.2 * searched, 0.02):
        found.append(f"copies: {copies:.0%} of the samples are all but training samples")
        if searched < 1:
            found[-1] += f" of the {searched:.1%} that were searched, so about {min(1, beyond / searched):.0%} of all"
    if scores.get("unique", 1) < FEW_TEXTS * scores.get("unique_floor", 1):
        found.append(f"collapse: only {scores['unique']:.0%} of the texts differ")
    if scores.get("copied", 0) > COPIED + scores.get("copied_floor", 0):
        found.append(f"copies: {scores['copied']:.0%} of the texts are word for word those of the data")
    return found


def _lost_classes(scores: Mapping[str, Any]) -> list[tuple[str, float, float]]:
    """Classes of which samples cover less than `UNCOVERED` of what real ones do, and both shares."""
    judged = [
        (printable(name.removeprefix("recall_")), value, scores[f"{name}_floor"])
        for name, value in scores.items()
        if name.startswith("recall_") and f"{name}_floor" in scores
    ]
    return [(name, recall, floor) for name, recall, floor in judged if recall < UNCOVERED * floor]


def are_pictures(dataset: Dataset) -> bool:
    """Whether its samples are pictures, and not points in the plane, which have their shape."""
    return len(dataset.sample_shape) == 3 and dataset.name not in ("rings", "grid")


def are_clips(dataset: Dataset) -> bool:
    return len(dataset.sample_shape) == 4
