"""All scores: what each means, which direction is better, when it is a warning. Names are those of `metrics.jsonl`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sparring.data.dataset import printable

UNCOVERED = 0.25
"""Samples with less than this share of real ones' recall count as collapsed."""
FEW_TEXTS = 0.8
"""Texts with less than this share of real texts' `unique` count as collapsed."""
COPIED = 0.25
"""Copy rate that is allowed above that of real texts. The names and captions of docs/results.md: 0.1 at
most, and 0.97 or more of `FEW_TEXTS`."""

Scores = Mapping[str, Any]
Better = Literal["lower", "higher", "as real"]


@dataclass(frozen=True)
class Score:
    name: str
    meaning: str
    """In a report; empty where the name says it."""
    better: Better
    label: str = ""
    """A short name, given to distances only: these are shown while training and plotted beside their `_floor`, and the
    first of them chooses the best state of a run."""
    warning: Callable[[Scores], str] | None = None
    """A line for the reader of all scores where this one is alarming, else nothing."""


def _repeats(scores: Scores) -> str:
    if scores["repeats"] <= 0.2 + scores.get("repeats_floor", 0):
        return ""
    return (
        f"collapse: {scores['repeats']:.0%} of the samples all but repeat another one (real ones: "
        f"{scores['repeats_floor']:.0%})"
    )


def _recall(scores: Scores) -> str:
    if scores["recall"] < UNCOVERED * scores.get("recall_floor", 1):
        real = f"(real ones: {scores['recall_floor']:.0%})"
        return f"collapse: the samples cover {scores['recall']:.0%} of the data {real}"
    judged = [
        (printable(name.removeprefix("recall_")), value, scores[f"{name}_floor"])
        for name, value in scores.items()
        if name.startswith("recall_") and f"{name}_floor" in scores
    ]
    lost = [(name, recall, floor) for name, recall, floor in judged if recall < UNCOVERED * floor]
    shown = ", ".join(f"of {name} {recall:.0%} (real ones: {floor:.0%})" for name, recall, floor in lost[:5])
    more = f", of {len(lost) - 5} more as little" if len(lost) > 5 else ""
    return f"collapse within a class: the samples cover {shown}{more}" if lost else ""


def _near_copies(scores: Scores) -> str:
    copies, searched = scores["near_copies"], scores.get("near_copies_searched", 1)
    beyond = copies - scores.get("near_copies_floor", 0)
    if beyond <= max(0.2 * searched, 0.02):
        return ""
    found = f"copies: {copies:.0%} of the samples are all but training samples"
    if searched < 1:
        found += f" of the {searched:.1%} that were searched, so about {min(1, beyond / searched):.0%} of all"
    return found


def _unique(scores: Scores) -> str:
    few = scores["unique"] < FEW_TEXTS * scores.get("unique_floor", 1)
    return f"collapse: only {scores['unique']:.0%} of the texts differ" if few else ""


def _copied(scores: Scores) -> str:
    many = scores["copied"] > COPIED + scores.get("copied_floor", 0)
    return f"copies: {scores['copied']:.0%} of the texts are word for word those of the data" if many else ""


SCORES: dict[str, Score] = {}
DISTANCES: dict[str, str] = {}
"""The labels of those that have one."""


def register_score(score: Score) -> None:
    SCORES[score.name] = score
    if score.label:
        DISTANCES[score.name] = score.label


for _score in (
    Score("frechet", "Fréchet distance of the features: 0 is best", "lower", "Fréchet"),
    Score("fid", "Fréchet inception distance: 0 is best", "lower", "FID"),
    Score("frechet_clips", "Fréchet distance of the clips' features: 0 is best", "lower", "Fréchet of clips"),
    Score("frechet_frames", "the same of single frames", "lower"),
    Score("kid", "kernel distance: 0 is best", "lower"),
    Score("repeats", "share of samples that all but repeat another one", "lower", warning=_repeats),
    Score("precision", "share of samples among real ones: 1 is best", "higher"),
    Score("recall", "share of real ones among samples: 1 is best", "higher", warning=_recall),
    Score("density", "how thickly real ones lie around samples: 1 is usual", "as real"),
    Score("coverage", "share of real ones with a sample near: 1 is best", "higher"),
    Score("c2st", "share that a classifier tells apart: 0.5 is best", "lower"),
    Score("near_copies", "share of samples all but equal to a training sample", "lower", warning=_near_copies),
    Score("near_copies_searched", "share of the training samples that copies were looked for in", "higher"),
    Score("inception_score", "clear and of all classes: higher is better", "higher"),
    Score("recognised", "share recognised as what it was made for", "higher"),
    Score("discriminative", "how far above chance a GRU tells samples from real series: 0 is best", "lower"),
    Score("predictive", "error of a GRU that learnt from samples, on real series", "lower"),
    Score("correlational", "difference of the channels' correlations: 0 is best", "lower"),
    Score("autocorrelation", "difference of the channels' autocorrelations: 0 is best", "lower"),
    Score("context_frechet", "Fréchet distance of features of whole series: 0 is best", "lower", "Fréchet of series"),
    Score("perplexity", "of samples to a language model of the data: as real texts' is best", "as real"),
    Score("reverse_perplexity", "of real texts to a language model of samples: lower is better", "lower"),
    Score("unique", "share of texts that are unlike all others", "as real", warning=_unique),
    Score("copied", "share of texts that stand in the training data", "as real", warning=_copied),
    Score("diversity", "how far samples of a class lie apart, in terms of the data's: 1 is best", "as real"),
):
    register_score(_score)


def meaning_of(name: str) -> str:
    return SCORES[name].meaning if name in SCORES else ""


def warnings_of(scores: Scores) -> list[str]:
    """Lines about alarming scores, in plain words."""
    warnings = (score.warning(scores) for score in SCORES.values() if score.warning and score.name in scores)
    return [text for text in warnings if text]
