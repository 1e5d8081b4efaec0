"""The registry of scores: meaning, direction and warnings. The names are those in `metrics.jsonl`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sparring.data.dataset import printable

UNCOVERED = 0.25
"""A recall below this share of real samples' recall counts as mode collapse."""
FEW_TEXTS = 0.8
"""A share of unique texts below this share of real texts' counts as mode collapse."""
COPIED = 0.25
"""The allowed excess of copied texts over real texts. For the names and captions of docs/results.md the excess is at
most 0.1, and at least 0.97 of real texts' share is unique."""

Scores = Mapping[str, Any]
Better = Literal["lower", "higher", "as real"]


@dataclass(frozen=True)
class Score:
    name: str
    meaning: str
    """The explanation in a report; may be empty."""
    better: Better
    label: str = ""
    """A distance's short name. A score with a label is a run's main score: progress and plots show it with its
    `_floor`."""
    warning: Callable[[Scores], str] | None = None
    """Returns a warning about the scores, or an empty string."""


def _repeats(scores: Scores) -> str:
    if scores["repeats"] <= 0.2 + scores.get("repeats_floor", 0):
        return ""
    return (
        f"collapse: {scores['repeats']:.0%} of the samples nearly repeat another sample (real data: "
        f"{scores['repeats_floor']:.0%})"
    )


def _recall(scores: Scores) -> str:
    if scores["recall"] < UNCOVERED * scores.get("recall_floor", 1):
        real = f"(real data: {scores['recall_floor']:.0%})"
        return f"collapse: the samples cover {scores['recall']:.0%} of the data {real}"
    classes = [
        (printable(name.removeprefix("recall_")), value, scores[f"{name}_floor"])
        for name, value in scores.items()
        if name.startswith("recall_") and f"{name}_floor" in scores
    ]
    lost = [(name, recall, floor) for name, recall, floor in classes if recall < UNCOVERED * floor]
    shown = ", ".join(f"{recall:.0%} of class {name} (real data: {floor:.0%})" for name, recall, floor in lost[:5])
    more = f", and as little of {len(lost) - 5} more classes" if len(lost) > 5 else ""
    return f"collapse within a class: the samples cover {shown}{more}" if lost else ""


def _near_copies(scores: Scores) -> str:
    copies, searched = scores["near_copies"], scores.get("near_copies_searched", 1)
    beyond = copies - scores.get("near_copies_floor", 0)
    if beyond <= max(0.2 * searched, 0.02):
        return ""
    found = f"copies: {copies:.0%} of the samples nearly equal a training sample"
    if searched < 1:
        found += f" among the {searched:.1%} that were searched, so about {min(1, beyond / searched):.0%} of all do"
    return found


def _unique(scores: Scores) -> str:
    few = scores["unique"] < FEW_TEXTS * scores.get("unique_floor", 1)
    return f"collapse: only {scores['unique']:.0%} of the texts differ" if few else ""


def _copied(scores: Scores) -> str:
    many = scores["copied"] > COPIED + scores.get("copied_floor", 0)
    return f"copies: {scores['copied']:.0%} of the texts equal a training text word for word" if many else ""


SCORES: dict[str, Score] = {}
DISTANCES: dict[str, str] = {}
"""The labels of the scores that have one."""


def register_score(score: Score) -> None:
    SCORES[score.name] = score
    if score.label:
        DISTANCES[score.name] = score.label


for _score in (
    Score("frechet", "Fréchet distance of the features: 0 is best", "lower", "Fréchet"),
    Score("fid", "Fréchet inception distance: 0 is best", "lower", "FID"),
    Score("frechet_clips", "Fréchet distance of the clips' features: 0 is best", "lower", "Fréchet of clips"),
    Score("frechet_frames", "Fréchet distance of single frames' features: 0 is best", "lower"),
    Score("kid", "kernel distance: 0 is best", "lower"),
    Score("repeats", "share of samples that nearly repeat another sample", "lower", warning=_repeats),
    Score("precision", "share of samples near real samples: 1 is best", "higher"),
    Score("recall", "share of real samples near samples: 1 is best", "higher", warning=_recall),
    Score("density", "density of real samples around samples: real samples get 1", "as real"),
    Score("coverage", "share of real samples with a near sample: 1 is best", "higher"),
    Score("c2st", "accuracy of a classifier of real and generated samples: 0.5 is best", "lower"),
    Score("near_copies", "share of samples that nearly equal a training sample", "lower", warning=_near_copies),
    Score("near_copies_searched", "share of the training samples that were searched for copies", "higher"),
    Score("inception_score", "high if classes are clear and all occur: higher is better", "higher"),
    Score("recognised", "share classified as the class it was generated for", "higher"),
    Score(
        "discriminative", "accuracy above chance of a GRU that classifies real and generated series: 0 is best", "lower"
    ),
    Score("predictive", "error on real series of a GRU trained on samples: lower is better", "lower"),
    Score("correlational", "difference of the channels' correlations: 0 is best", "lower"),
    Score("autocorrelation", "difference of the channels' autocorrelations: 0 is best", "lower"),
    Score("context_frechet", "Fréchet distance of features of whole series: 0 is best", "lower", "Fréchet of series"),
    Score(
        "perplexity", "perplexity of samples under a language model of the data: real texts' value is best", "as real"
    ),
    Score("reverse_perplexity", "perplexity of real texts under a language model of samples: lower is better", "lower"),
    Score("unique", "number of distinct texts over the number of texts", "as real", warning=_unique),
    Score("copied", "share of texts that occur in the training data", "as real", warning=_copied),
    Score("diversity", "spread of samples within a class, relative to the data's: 1 is best", "as real"),
):
    register_score(_score)


def meaning_of(name: str) -> str:
    return SCORES[name].meaning if name in SCORES else ""


def warnings_of(scores: Scores) -> list[str]:
    """The warnings about the scores, as sentences."""
    warnings = (score.warning(scores) for score in SCORES.values() if score.warning and score.name in scores)
    return [text for text in warnings if text]
