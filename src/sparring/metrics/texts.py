"""How good generated texts are: never quality alone, each score beside held-out texts' and shuffled ones'."""

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
"""Texts of a kind that are compared."""
FEWEST = 20
SPAN = 32
"""Symbols: longer runs that are copied count as so many."""
HYPOTHESES = 200  # whose BLEU is taken, each against all references
ORDERS = (2, 3, 4, 5)

COUNTED = ("diversity", "copies", "symbols")
METRICS = ("frechet", "c2st", "perplexity", "bleu", *COUNTED)
"""Each several scores of `TextEvaluation`: quality and variety go together."""
IN_FEATURES = {"frechet", "c2st"}
"""Those that the `Encoder` is for."""
OTHER_NAMES = {
    "fd": "frechet",
    "reverse_perplexity": "perplexity",
    **{f"{kind}_{n}": "bleu" for kind in ("bleu", "self_bleu") for n in ORDERS},
    **dict.fromkeys(("unique", "repeated", "entropy"), "diversity"),
    **dict.fromkeys(("copied", "span"), "copies"),
    **dict.fromkeys(("unknown", "length_tv", "bigram_tv"), "symbols"),
}
"""A score may be named too, and comes with those it goes together with."""

_BUCKETS, _DIRECTIONS, _FITTED = 4096, 64, 4000

Texts = Sequence[tuple[int, ...]]
"""Numbered symbols, without ends."""


class TextMetric(Metric):
    """Compares 1,000 samples at most with the training texts."""

    def __init__(self, dataset: Dataset, *, told: bool = False) -> None:
        """`told`: whether a classifier is trained to tell samples from the data (`c2st`)."""
        assert dataset.vocabulary is not None
        self.vocabulary, self.length = dataset.vocabulary, dataset.sample_shape[0]
        training = spread_over(dataset, MOST)
        held_out = spread_over(dataset.held_out or dataset, 1000)
        self.count = len(held_out)
        self.told = told
        if told:
            check_enough(self.count)
        self.encoder, self.known = Encoder(training), Known(training)
        self.features = self.encoder(training)
        self.floor = {f"{name}_floor": value for name, value in self._scores(held_out).items()}

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """Those of `TextEvaluation` that need no language model and no BLEU, each beside its `_floor`."""
        return self._scores(self.vocabulary.encode(sample(self.count)[0], self.length)) | self.floor

    def _scores(self, stored: Tensor) -> dict[str, float]:
        features = self.encoder(stored)
        scores = self.known.scores(stored) | {"frechet": frechet_distance(features, self.features)}
        return scores | ({"c2st": classifier_two_sample(features, self.features)} if self.told else {})


class TextEvaluation:
    """Scores of texts against texts the GAN has not seen: those held out, or a `reference`. Of `METRICS`

    - `frechet` is the distance in the features of `Encoder`, `c2st` the share that a classifier tells apart in them;
    - `perplexity` gives that of samples to a language model trained on the data, and `reverse_perplexity` of real texts
      to one trained on samples;
    - `bleu` gives `bleu_n` of 200 samples against the reference and `self_bleu_n` against the other samples (not for
      characters);
    - `diversity` gives `unique`, `repeated` (texts that say a symbol twice in a row) and the `entropy` of the symbols
      in nats;
    - `copies` gives `copied` (word for word from the training texts) and `span` (symbols of the longest run copied, 32
      at most);
    - `symbols` gives `unknown` (the share of symbols that the vocabulary lacks, which no perplexity counts),
      `length_tv` and `bigram_tv` (total variation to the training texts).
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
        """Only the named of `METRICS` are computed; None: all that there are for these texts, and for `num` samples or
        more."""
        assert dataset.vocabulary is not None
        self.vocabulary, self.seed, self.report = dataset.vocabulary, seed, report
        known = [name for name in METRICS if name != "bleu" or self.vocabulary.tokenizer != "char"]
        self.metrics = chosen_of(known, known if metrics is None else metrics, dataset, OTHER_NAMES)
        if "bleu" in self.metrics:
            _nltk_bleu()  # before minutes of work
        self.training = spread_over(dataset, MOST)
        length = self.training.shape[1]
        if reference is None:
            self.real = spread_over(dataset.held_out or dataset, MOST)
        else:
            texts = [text for text in map(clean, reference) if text and len(self.vocabulary.numbers(text)) <= length]
            self.real = self.vocabulary.encode(texts[:: math.ceil(len(texts) / MOST) or 1], length)
        if len(self.real) < FEWEST:
            raise DataError(
                f"the reference holds {len(self.real)} texts of up to {length} symbols: {FEWEST} are needed"
            )
        few = min(num, len(self.real), len(self.training))
        self.metrics = without_few(self.metrics, few, named=metrics is not None)
        self.known = Known(self.training)
        if IN_FEATURES & set(self.metrics):
            report(f"comparing texts in the features of {ENCODER}")
            self.encoder = Encoder(self.real)
            self.features = self.encoder(self.real)
        self.references = References(_as_tuples(self.real)) if "bleu" in self.metrics else None
        self.model = self._learn(self.training, "the data")

    def __call__(self, texts: Sequence[str]) -> dict[str, float]:
        """Of samples, best as many as there are training texts, 10,000 at most."""
        return self.scores(self.vocabulary.encode(texts, self.training.shape[1]))

    def scores(self, stored: Tensor, kind: str = "samples") -> dict[str, float]:
        """Of numbered symbols (B, N)."""
        return self._scores(stored, stored, self._learn(stored, kind))

    def floor(self) -> dict[str, float]:
        """The same of the real texts themselves; where that says nothing, of the training texts."""
        return self._scores(self.real, self.training, self.model)

    def _learn(self, texts: Tensor, kind: str) -> LanguageModel | None:
        if "perplexity" not in self.metrics:
            return None
        self.report(f"a language model learns {kind}")
        return fit_language_model(texts, len(self.vocabulary), seed=self.seed)

    def _scores(self, stored: Tensor, compared: Tensor, learner: LanguageModel | None) -> dict[str, float]:
        """`compared` stands for `stored` where the real texts would be compared with themselves."""
        # The number of texts decides how many are unique and how alike distributions are.
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
            # The more others there are, the more alike one of them is: as many for all.
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
    """`TextEvaluation` of as many samples as there are training texts, `num` at most, and the same of the real texts
    (`_floor`) and of the training texts' symbols shuffled within each (`_shuffled`); before them the `encoder`, where
    it is used, and the `count` of samples."""
    num = min(num, MOST, len(dataset))
    if num < FEWEST:
        raise DataError(f"{num} texts are too few to measure: {FEWEST} are needed")
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


class Known:
    """What the training texts (B, N) hold, counted once it is asked for."""

    def __init__(self, training: Tensor) -> None:
        self.training = _as_tuples(training)

    @cached_property
    def texts(self) -> set[tuple[int, ...]]:
        return set(self.training)

    @cached_property
    def runs(self) -> "Runs":
        return Runs(self.training)

    @cached_property
    def lengths(self) -> Counter:
        return Counter(map(len, self.training))

    @cached_property
    def pairs(self) -> Counter:
        return _pairs(self.training)

    def scores(self, stored: Tensor, metrics: Collection[str] = COUNTED) -> dict[str, float]:
        """Those of `COUNTED` among the metrics."""
        texts = _as_tuples(stored)
        symbols = Counter(symbol for text in texts for symbol in text)
        found: dict[str, float] = {}
        if "symbols" in metrics:
            found["unknown"] = symbols[UNKNOWN] / max(1, symbols.total())
        if "diversity" in metrics:
            found["unique"] = len(set(texts)) / len(texts)
        if "copies" in metrics:
            found["copied"] = fmean(text in self.texts for text in texts)
            found["span"] = fmean(map(self.runs.longest, texts))
        if "diversity" in metrics:
            found["repeated"] = fmean(any(a == b for a, b in pairwise(text)) for text in texts)
            shares = torch.tensor([float(count) for count in symbols.values()] or [1.0])
            shares = shares / shares.sum()
            found["entropy"] = -(shares * shares.log()).sum().item()
        if "symbols" in metrics:
            found["length_tv"] = total_variation(Counter(map(len, texts)), self.lengths)
            found["bigram_tv"] = total_variation(_pairs(texts), self.pairs)
        return found


class Runs:
    """All runs of up to `SPAN` symbols of texts, as the sorted list of what begins at each place."""

    def __init__(self, texts: Texts) -> None:
        spelled = ["".join(map(chr, text)) for text in texts]
        self.sorted = sorted({text[i : i + SPAN] for text in spelled for i in range(len(text))})

    def longest(self, text: tuple[int, ...]) -> int:
        """Symbols of the longest run of a text that is there too: a neighbour in the order has it."""
        spelled, most = "".join(map(chr, text)), 0
        for start in range(len(spelled)):
            run = spelled[start : start + SPAN]
            place = bisect(self.sorted, run)
            for neighbour in self.sorted[max(0, place - 1) : place + 1]:
                alike = takewhile(lambda pair: pair[0] == pair[1], zip(run, neighbour, strict=False))
                most = max(most, sum(1 for _ in alike))
        return most


class Encoder:
    """Latent semantic analysis (Deerwester et al. 1990): tf-idf of symbols and pairs of them, in the directions in
    which the texts it is fitted on differ most. Deterministic."""

    def __init__(self, texts: Tensor) -> None:
        counts = _grams(texts[:: math.ceil(len(texts) / _FITTED)])
        self.idf = (len(counts) / (1 + (counts > 0).sum(0))).log().clamp_min(0)
        weighted = self._weighted(counts)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            rank = min(_DIRECTIONS, *weighted.shape)
            self.directions = torch.svd_lowrank(weighted, rank, niter=4)[2]

    def __call__(self, texts: Tensor) -> Tensor:
        """Texts (B, N) -> features (B, 64)."""
        return torch.cat([self._weighted(_grams(chunk)) @ self.directions for chunk in texts.split(1000)])

    def _weighted(self, counts: Tensor) -> Tensor:
        return torch.nn.functional.normalize(counts.sqrt() * self.idf, dim=1) * 10


def shuffled(texts: Tensor, seed: int) -> Tensor:
    """The symbols of each text (B, N) in random order, ends where they are."""
    order = torch.rand(texts.shape, generator=torch.Generator().manual_seed(seed))
    return texts.gather(1, order.masked_fill(texts == END, torch.inf).argsort(1))


def total_variation(first: Counter, second: Counter) -> float:
    """Half the sum of the differences of two distributions."""
    n, m = first.total(), second.total()
    if not (n and m):
        return float(n != m)
    return sum(abs(first[key] / n - second[key] / m) for key in first | second) / 2


def _pairs(texts: Texts) -> Counter:
    return Counter(pair for text in texts for pair in pairwise(text))


def _bleu(name: str, stored: Tensor, references: "References | None", seed: int) -> dict[str, float]:
    """Mean BLEU-2 to 5 of some of the texts against references or, without, the others, smoothed as in Texygen
    (method 1 of Chen & Cherry 2014)."""
    bleu = _nltk_bleu()
    texts = _as_tuples(stored)
    among, known = references is None, references or References(texts)
    chosen = random.Random(seed).sample(range(len(texts)), min(HYPOTHESES, len(texts)))
    weights = [(1 / n,) * n for n in ORDERS]
    smooth = bleu.SmoothingFunction().method1
    rows = []
    for index in chosen:
        against = known.deciding(texts[index], without=index if among else None)
        rows.append(bleu.sentence_bleu(against, texts[index], weights, smooth) if texts[index] else [0.0] * len(ORDERS))
    return {f"{name}_{n}": fmean(row[i] for row in rows) for i, n in enumerate(ORDERS)}


def _nltk_bleu() -> Any:
    try:
        from nltk.translate import bleu_score
    except ImportError as error:
        raise DataError('BLEU needs the package nltk: pip install "sparring[text]"') from error
    return bleu_score


class References:
    """BLEU counts a run of symbols as often as it occurs in the reference that has it most often, and compares lengths
    with the nearest reference's: of thousands of references a few decide, and with those alone it is the same."""

    def __init__(self, texts: Texts) -> None:
        self.texts = texts
        # For each run, and for each length, the two texts that matter most: one of them may be left out.
        self.most: dict[tuple[int, ...], list[tuple[int, int]]] = {}
        self.lengths: dict[int, list[int]] = {}
        for index, text in enumerate(texts):
            self.lengths.setdefault(len(text), []).append(index)
            for run, count in Counter(_runs(text)).items():
                held = self.most.setdefault(run, [])
                held.append((count, index))
                if len(held) > 2:
                    held.remove(min(held))

    def deciding(self, text: tuple[int, ...], *, without: int | None = None) -> list[tuple[int, ...]]:
        """The references that decide a text's BLEU, one of them left out where it is the text itself."""
        found: set[int] = set()
        for run in set(_runs(text)):
            rest = [entry for entry in self.most.get(run, []) if entry[1] != without]
            found.update(index for _, index in sorted(rest)[-1:])
        for indices in self.lengths.values():
            found.update([index for index in indices[:2] if index != without][:1])
        return [self.texts[index] for index in sorted(found)]


def _runs(text: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [text[i : i + n] for n in range(1, max(ORDERS) + 1) for i in range(len(text) - n + 1)]


def _grams(texts: Tensor) -> Tensor:
    """How often each hashed symbol and pair of symbols occurs, (B, N) -> (B, 4096); ends count once."""
    after = torch.nn.functional.pad(texts, (0, 1), value=END)[:, 1:]
    pairs = (texts * 1_000_003 + after * 7919 + 13) % _BUCKETS
    single = (texts * 2_654_435_761 + 7) % _BUCKETS
    counts = torch.zeros(len(texts), _BUCKETS)
    present = (texts != END).float()
    return counts.scatter_add_(1, pairs, present).scatter_add_(1, single, present)


def _as_tuples(stored: Tensor) -> list[tuple[int, ...]]:
    return [tuple(row[: row.index(END)] if END in row else row) for row in stored.tolist()]


def spread_over(dataset: Dataset, most: int) -> Tensor:
    return dataset.batch(torch.linspace(0, len(dataset) - 1, min(len(dataset), most)).long())[0]
