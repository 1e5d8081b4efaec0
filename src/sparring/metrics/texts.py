"""Scores of generated texts for quality and diversity, each with the score of held-out and of shuffled texts."""

import math
import random
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from functools import cached_property
from itertools import pairwise, takewhile
from statistics import fmean
from typing import Any

import torch
from torch import Tensor

from sparring.data.dataset import DataError, Dataset
from sparring.data.vocabulary import END, UNKNOWN, clean
from sparring.metrics.frechet import frechet_distance
from sparring.metrics.language_model import LanguageModel, fit_language_model, perplexity
from sparring.metrics.metric import Metric, Sampler, chosen_of
from sparring.metrics.two_sample import check_enough, classifier_two_sample, without_few

ENCODER = "lsa (1- and 2-grams of the reference's symbols, tf-idf, 64 directions)"
MOST = 10_000
"""The most texts that are compared."""
FEWEST = 20
SPAN = 32
"""The longest copied n-gram that is counted, in symbols."""
HYPOTHESES = 200  # texts whose BLEU against all references is computed
ORDERS = (2, 3, 4, 5)

COUNTED = ("diversity", "copies", "symbols")
METRICS = ("frechet", "c2st", "perplexity", "bleu", *COUNTED)
"""Each metric has several scores of `TextEvaluation`."""
IN_FEATURES = {"frechet", "c2st"}
"""The metrics that use the `Encoder`."""
OTHER_NAMES = {
    "fd": "frechet",
    "reverse_perplexity": "perplexity",
    **{f"{kind}_{n}": "bleu" for kind in ("bleu", "self_bleu") for n in ORDERS},
    **dict.fromkeys(("unique", "repeated", "entropy"), "diversity"),
    **dict.fromkeys(("copied", "span"), "copies"),
    **dict.fromkeys(("unknown", "length_tv", "bigram_tv"), "symbols"),
}
"""Aliases: the name of a score selects its metric."""

_BUCKETS, _FEATURES, _FITTED = 4096, 64, 4000

Texts = Sequence[tuple[int, ...]]
"""Symbol numbers, without end symbols."""


class TextMetric(Metric):
    """Compares at most 1,000 samples with the training texts."""

    def __init__(self, dataset: Dataset, *, c2st: bool = False) -> None:
        """`c2st` adds the classifier two-sample test."""
        assert dataset.vocabulary is not None
        self.vocabulary, self.length = dataset.vocabulary, dataset.sample_shape[0]
        training = evenly_spaced(dataset, MOST)
        held_out = evenly_spaced(dataset.held_out or dataset, 1000)
        self.count = len(held_out)
        self.c2st = c2st
        if c2st:
            check_enough(self.count)
        self.encoder, self.training = Encoder(training), TrainingTexts(training)
        self.features = self.encoder(training)
        self.floor = {f"{name}_floor": value for name, value in self._scores(held_out).items()}

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """Returns the scores of `TextEvaluation` except perplexities and BLEU, each with its `_floor`."""
        return self._scores(self.vocabulary.encode(sample(self.count)[0], self.length)) | self.floor

    def _scores(self, stored: Tensor) -> dict[str, float]:
        features = self.encoder(stored)
        scores = self.training.scores(stored) | {"frechet": frechet_distance(features, self.features)}
        return scores | ({"c2st": classifier_two_sample(features, self.features)} if self.c2st else {})


class TextEvaluation:
    """Scores texts against held-out texts or a `reference`. The scores of each of `METRICS`:

    - `frechet`: the Fréchet distance in the features of `Encoder`; `c2st`: a classifier's accuracy in them;
    - `perplexity`: `perplexity` of samples under a language model of the data, `reverse_perplexity` of real texts under
      a language model of samples;
    - `bleu`: `bleu_n` of 200 samples against the reference, `self_bleu_n` against the other samples (not for
      characters);
    - `diversity`: `unique`, `repeated` (texts with a symbol twice in a row), `entropy` of the symbols in nats;
    - `copies`: `copied` (equal to a training text), `span` (symbols of the longest copied n-gram, 32 at most);
    - `symbols`: `unknown` (share of symbols that are not in the vocabulary, which perplexities leave out), `length_tv`
      and `bigram_tv` (total variation distance from the training texts).
    """

    def __init__(
        self,
        dataset: Dataset,
        *,
        seed: int = 0,
        reference: Sequence[str] | None = None,
        metrics: Collection[str] | None = None,
        num: int = MOST,
        report: Callable[[str], object] = lambda doing: None,
    ) -> None:
        """`metrics` are some of `METRICS`; None: all that apply to these texts and to `num` samples."""
        assert dataset.vocabulary is not None
        self.vocabulary, self.seed, self.report = dataset.vocabulary, seed, report
        known = [name for name in METRICS if name != "bleu" or self.vocabulary.tokenizer != "char"]
        self.metrics = chosen_of(known, known if metrics is None else metrics, dataset, OTHER_NAMES)
        if "bleu" in self.metrics:
            _nltk_bleu()  # raises before the slow work
        self.training = evenly_spaced(dataset, MOST)
        length = self.training.shape[1]
        if reference is None:
            self.real = evenly_spaced(dataset.held_out or dataset, MOST)
        else:
            texts = [text for text in map(clean, reference) if text and len(self.vocabulary.ids(text)) <= length]
            self.real = self.vocabulary.encode(texts[:: math.ceil(len(texts) / MOST) or 1], length)
        if len(self.real) < FEWEST:
            raise DataError(
                f"the reference holds {len(self.real)} texts of at most {length} symbols: {FEWEST} are needed"
            )
        few = min(num, len(self.real), len(self.training))
        self.metrics = without_few(self.metrics, few, named=metrics is not None)
        self.known = TrainingTexts(self.training)
        if IN_FEATURES & set(self.metrics):
            report(f"comparing texts in the features of {ENCODER}")
            self.encoder = Encoder(self.real)
            self.features = self.encoder(self.real)
        self.references = References(_as_tuples(self.real)) if "bleu" in self.metrics else None
        self.model = self._language_model(self.training, "the data")

    def __call__(self, texts: Sequence[str]) -> dict[str, float]:
        """Scores samples, ideally as many as there are training texts, 10,000 at most."""
        return self.scores(self.vocabulary.encode(texts, self.training.shape[1]))

    def scores(self, stored: Tensor, kind: str = "samples") -> dict[str, float]:
        """Scores texts as symbol numbers (B, N)."""
        return self._scores(stored, stored, self._language_model(stored, kind))

    def floor(self) -> dict[str, float]:
        """Scores the real texts, or the training texts in place of real texts compared with themselves."""
        return self._scores(self.real, self.training, self.model)

    def _language_model(self, texts: Tensor, kind: str) -> LanguageModel | None:
        if "perplexity" not in self.metrics:
            return None
        self.report(f"training a language model of {kind}")
        return fit_language_model(texts, len(self.vocabulary), seed=self.seed)

    def _scores(self, stored: Tensor, compared: Tensor, learner: LanguageModel | None) -> dict[str, float]:
        """`compared` replaces `stored` in comparisons with the real texts, which `stored` may be."""
        # These scores depend on the number of texts.
        found = self.known.scores(stored[: len(self.real)], self.metrics)
        if IN_FEATURES & set(self.metrics):
            features = self.encoder(compared)
            if "frechet" in self.metrics:
                found["frechet"] = frechet_distance(features, self.features)
            if "c2st" in self.metrics:
                found["c2st"] = classifier_two_sample(features, self.features, seed=self.seed)
        if self.model is not None and learner is not None:
            found["perplexity"] = perplexity(self.model, stored)
            found["reverse_perplexity"] = perplexity(learner, self.real)
        if self.references is not None:
            # BLEU grows with the number of references, so it is the same for all.
            others = stored[: min(len(self.real), len(self.training))]
            found |= _bleu("bleu", compared, self.references, self.seed) | _bleu("self_bleu", others, None, self.seed)
        return found


def evaluate_texts(
    dataset: Dataset,
    sample: Sampler,
    *,
    seed: int = 0,
    reference: Sequence[str] | None = None,
    num: int = MOST,
    metrics: Collection[str] | None = None,
    report: Callable[[str], object] = lambda doing: None,
) -> dict[str, Any]:
    """Returns `TextEvaluation`'s scores of as many samples as there are training texts, `num` at most; the scores of
    real texts (`_floor`) and of training texts with shuffled symbols (`_shuffled`); the `encoder`, if used; and the
    `count` of samples."""
    num = min(num, MOST, len(dataset))
    if num < FEWEST:
        raise DataError(f"{num} texts are too few for a comparison: {FEWEST} are needed")
    evaluation = TextEvaluation(dataset, seed=seed, reference=reference, metrics=metrics, num=num, report=report)
    texts = sample(num)[0]
    facts = {"encoder": ENCODER} if IN_FEATURES & set(evaluation.metrics) else {}
    scores = facts | {"count": len(texts)} | evaluation(texts)
    for suffix, found in (
        ("_floor", evaluation.floor()),
        ("_shuffled", evaluation.scores(shuffled(evaluation.training, seed), "shuffled texts")),
    ):
        scores |= {f"{name}{suffix}": value for name, value in found.items()}
    return scores


class TrainingTexts:
    """Statistics of the training texts (B, N), each computed when it is first used."""

    def __init__(self, training: Tensor) -> None:
        self.training = _as_tuples(training)

    @cached_property
    def texts(self) -> set[tuple[int, ...]]:
        return set(self.training)

    @cached_property
    def spans(self) -> "Spans":
        return Spans(self.training)

    @cached_property
    def lengths(self) -> Counter:
        return Counter(map(len, self.training))

    @cached_property
    def pairs(self) -> Counter:
        return _pairs(self.training)

    def scores(self, stored: Tensor, metrics: Collection[str] = COUNTED) -> dict[str, float]:
        """The scores of the metrics in `COUNTED`."""
        texts = _as_tuples(stored)
        symbols = Counter(symbol for text in texts for symbol in text)
        found: dict[str, float] = {}
        if "symbols" in metrics:
            found["unknown"] = symbols[UNKNOWN] / max(1, symbols.total())
        if "diversity" in metrics:
            found["unique"] = len(set(texts)) / len(texts)
        if "copies" in metrics:
            found["copied"] = fmean(text in self.texts for text in texts)
            found["span"] = fmean(map(self.spans.longest, texts))
        if "diversity" in metrics:
            found["repeated"] = fmean(any(a == b for a, b in pairwise(text)) for text in texts)
            shares = torch.tensor([float(count) for count in symbols.values()] or [1.0])
            shares = shares / shares.sum()
            found["entropy"] = -(shares * shares.log()).sum().item()
        if "symbols" in metrics:
            found["length_tv"] = total_variation(Counter(map(len, texts)), self.lengths)
            found["bigram_tv"] = total_variation(_pairs(texts), self.pairs)
        return found


class Spans:
    """All spans of up to `SPAN` symbols of texts, as a sorted list of the spans that start at each position."""

    def __init__(self, texts: Texts) -> None:
        spelled = ["".join(map(chr, text)) for text in texts]
        self.sorted = sorted({text[i : i + SPAN] for text in spelled for i in range(len(text))})

    def longest(self, text: tuple[int, ...]) -> int:
        """The length of the text's longest span that occurs; a neighbour in sorted order has the longest prefix."""
        spelled, most = "".join(map(chr, text)), 0
        for start in range(len(spelled)):
            span = spelled[start : start + SPAN]
            index = bisect(self.sorted, span)
            for neighbour in self.sorted[max(0, index - 1) : index + 1]:
                common = takewhile(lambda pair: pair[0] == pair[1], zip(span, neighbour, strict=False))
                most = max(most, sum(1 for _ in common))
        return most


class Encoder:
    """Latent semantic analysis (Deerwester et al. 1990): tf-idf of symbols and bigrams, projected onto the leading
    singular vectors of the texts that it is fitted on. Deterministic."""

    def __init__(self, texts: Tensor) -> None:
        counts = _grams(texts[:: math.ceil(len(texts) / _FITTED)])
        self.idf = (len(counts) / (1 + (counts > 0).sum(0))).log().clamp_min(0)
        weighted = self._weighted(counts)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            rank = min(_FEATURES, *weighted.shape)
            self.directions = torch.svd_lowrank(weighted, rank, niter=4)[2]

    def __call__(self, texts: Tensor) -> Tensor:
        """Texts (B, N) -> features (B, 64)."""
        return torch.cat([self._weighted(_grams(chunk)) @ self.directions for chunk in texts.split(1000)])

    def _weighted(self, counts: Tensor) -> Tensor:
        return torch.nn.functional.normalize(counts.sqrt() * self.idf, dim=1) * 10


def shuffled(texts: Tensor, seed: int) -> Tensor:
    """Shuffles the symbols of each text (B, N); end symbols stay in place."""
    order = torch.rand(texts.shape, generator=torch.Generator().manual_seed(seed))
    return texts.gather(1, order.masked_fill(texts == END, torch.inf).argsort(1))


def total_variation(first: Counter, second: Counter) -> float:
    """The total variation distance of two distributions of counts."""
    n, m = first.total(), second.total()
    if not (n and m):
        return float(n != m)
    return sum(abs(first[key] / n - second[key] / m) for key in first | second) / 2


def _pairs(texts: Texts) -> Counter:
    return Counter(pair for text in texts for pair in pairwise(text))


def _bleu(name: str, stored: Tensor, references: "References | None", seed: int) -> dict[str, float]:
    """Mean BLEU-2 to BLEU-5 of `HYPOTHESES` texts against the references, or against the other texts if None; smoothed
    as in Texygen (method 1 of Chen & Cherry 2014)."""
    bleu = _nltk_bleu()
    texts = _as_tuples(stored)
    among, known = references is None, references or References(texts)
    chosen = random.Random(seed).sample(range(len(texts)), min(HYPOTHESES, len(texts)))
    weights = [(1 / n,) * n for n in ORDERS]
    smooth = bleu.SmoothingFunction().method1
    rows = []
    for index in chosen:
        relevant = known.relevant(texts[index], without=index if among else None)
        rows.append(
            bleu.sentence_bleu(relevant, texts[index], weights, smooth) if texts[index] else [0.0] * len(ORDERS)
        )
    return {f"{name}_{n}": fmean(row[i] for row in rows) for i, n in enumerate(ORDERS)}


def _nltk_bleu() -> Any:
    try:
        from nltk.translate import bleu_score
    except ImportError as error:
        raise DataError('BLEU needs the package nltk: pip install "sparring[text]"') from error
    return bleu_score


class References:
    """Finds the few references on which the BLEU of a text depends: for each n-gram the reference with the most
    occurrences, and the references of each length. BLEU is the same as with all references, and faster."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        # Two references for each n-gram and for each length, as one of them may be left out.
        self.most: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        self.lengths: dict[int, list[int]] = {}
        for index, text in enumerate(texts):
            self.lengths.setdefault(len(text), []).append(index)
            for ngram, count in Counter(_ngrams(text)).items():
                held = self.most.setdefault(ngram, [])
                held.append((count, index))
                if len(held) > 2:
                    held.remove(min(held))

    def relevant(self, text: tuple[int, ...], *, without: int | None = None) -> list[tuple[int, ...]]:
        """The references on which a text's BLEU depends, without the one with the index `without`."""
        found: set[int] = set()
        for ngram in set(_ngrams(text)):
            rest = [entry for entry in self.most.get(ngram, []) if entry[1] != without]
            found.update(index for _, index in sorted(rest)[-1:])
        for indices in self.lengths.values():
            found.update([index for index in indices[:2] if index != without][:1])
        return [self.texts[index] for index in sorted(found)]


def _ngrams(text: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [text[i : i + n] for n in range(1, max(ORDERS) + 1) for i in range(len(text) - n + 1)]


def _grams(texts: Tensor) -> Tensor:
    """The counts of hashed symbols and bigrams, (B, N) -> (B, 4096)."""
    after = torch.nn.functional.pad(texts, (0, 1), value=END)[:, 1:]
    pairs = (texts * 1_000_003 + after * 7919 + 13) % _BUCKETS
    single = (texts * 2_654_435_761 + 7) % _BUCKETS
    counts = torch.zeros(len(texts), _BUCKETS)
    present = (texts != END).float()
    return counts.scatter_add_(1, pairs, present).scatter_add_(1, single, present)


def _as_tuples(stored: Tensor) -> list[tuple[int, ...]]:
    return [tuple(row[: row.index(END)] if END in row else row) for row in stored.tolist()]


def evenly_spaced(dataset: Dataset, most: int) -> Tensor:
    """At most `most` samples at evenly spaced indices."""
    return dataset.batch(torch.linspace(0, len(dataset) - 1, min(len(dataset), most)).long())[0]
