"""What can be measured of samples. A data set that knows how it is scored says so by what it holds."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import Tensor

from sparring.data.dataset import DataError, Dataset

DISTANCES = {"frechet": "Fréchet", "frechet_clips": "Fréchet of clips", "context_frechet": "Fréchet of series"}
"""What is shown while training and plotted, each beside its `_floor`."""

Sampler = Callable[[int], tuple[Any, Tensor | None]]
"""n -> n samples as `GAN.sample` gives them, and the classes they were made for, or None."""


class Metric(Protocol):
    """Scores samples against a data set; the names are those of `metrics.jsonl`."""

    def __call__(self, sample: Sampler) -> dict[str, float]: ...


def metric_for(dataset: Dataset) -> Metric | None:
    """What a run measures while it trains; None where there is nothing yet."""
    if dataset.vocabulary is not None:
        from sparring.metrics.texts import TextMetric

        return TextMetric(dataset)
    if dataset.channels is not None:
        from sparring.metrics.series import SeriesMetric

        return SeriesMetric(dataset)
    if dataset.name == "digits":
        from sparring.metrics.digits import DigitMetric

        return DigitMetric(dataset)
    if len(dataset.sample_shape) == 4 and len(dataset.held_out or dataset) >= 4:
        from sparring.metrics.clips import ClipMetric

        return ClipMetric(dataset)
    if dataset.name in ("rings", "grid"):
        from sparring.metrics.modes import ModeMetric

        return ModeMetric(dataset)
    return None


def evaluate(
    dataset: Dataset,
    sample: Sampler,
    *,
    repeats: int = 5,
    seed: int = 0,
    reference: Sequence[str] | None = None,
    extractor: str | None = None,
    num: int = 10_000,
    report: Callable[[str], None],
) -> dict[str, Any]:
    """All that can be measured, beside what real data gets (`_floor`). Slower than what a run measures of series and
    texts: of series classifiers and predictors are trained `repeats` times, of texts language models. Texts can be
    compared with other `reference` texts than the set's own held-out ones. Of pictures `num` are compared, as far
    as there are as many real ones, in the features of an `extractor` (`extractors.make_extractor`)."""
    if extractor is not None and len(dataset.sample_shape) != 3:
        raise DataError("--extractor looks at pictures, and this GAN makes none: drop it")
    if dataset.vocabulary is not None:
        from sparring.metrics.texts import evaluate_texts

        return evaluate_texts(dataset, sample, seed=seed, reference=reference, report=report)
    if reference is not None:
        raise DataError("only texts are compared with another --data yet: drop it")
    if len(dataset.sample_shape) == 3 and dataset.name not in ("rings", "grid"):
        from sparring.metrics.images import ImageEvaluation

        chosen = extractor or ("digits" if dataset.name == "digits" else "untrained")
        report(f"comparing pictures in the features of the extractor {chosen}")
        evaluation = ImageEvaluation(dataset, num=num, extractor=chosen, seed=seed)
        found = evaluation.extractor
        facts = {"extractor": found.name, "resized": found.resized, "count": evaluation.count}
        return facts | evaluation(sample)
    if dataset.channels is not None:
        from sparring.metrics.series import evaluate_series

        return evaluate_series(dataset, sample, repeats=repeats, seed=seed, report=report)
    metric = metric_for(dataset)
    if metric is None:
        raise DataError(f"{dataset.name} is too small to be measured: at least four clips are needed")
    return metric(sample)
