"""How good generated texts are: never quality alone, each score beside held-out texts' and shuffled ones'."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from statistics import fmean

import torch
from torch import Tensor

from sparring.data.dataset import DataError, Dataset
from sparring.data.vocabulary import END, Vocabulary
from sparring.metrics import Sampler
from sparring.metrics.frechet import frechet_distance
from sparring.metrics.language_model import fit_language_model, perplexity

ENCODER = "lsa (1- and 2-grams of the reference's symbols, tf-idf, 64 directions)"
MOST = 10_000
"""Texts of a kind that are compared."""
HYPOTHESES = 200  # whose BLEU is taken, each against all references
ORDERS = (2, 3, 4, 5)

_BUCKETS, _DIRECTIONS, _FITTED = 4096, 64, 4000

Texts = Sequence[tuple[int, ...]]
"""Numbered symbols, without ends."""


class TextMetric:
    """Compares 1,000 samples at most with the training texts."""

    def __init__(self, dataset: Dataset) -> None:
        self.vocabulary, self.length = _vocabulary(dataset), dataset.sample_shape[0]
        self.training = _batch(dataset, MOST)
        held_out = _batch(dataset.held_out or dataset, 1000)
        self.count = len(held_out)
        self.encoder = Encoder(self.training)
        self.known = _as_tuples(self.training)
        self.floor = {f"{name}_floor": value for name, value in self._scores(held_out).items()}

    def __call__(self, sample: Sampler) -> dict[str, float]:
        texts: Sequence[str] = sample(self.count)[0]  # type: ignore[assignment]
        return self._scores(self.vocabulary.encode(texts, self.length)) | self.floor

    def _scores(self, stored: Tensor) -> dict[str, float]:
        return _counted(_as_tuples(stored), self.known) | {
            "frechet": frechet_distance(self.encoder(stored), self.encoder(self.training))
        }


def evaluate_texts(
    dataset: Dataset,
    sample: Sampler,
    *,
    seed: int = 0,
    reference: Sequence[str] | None = None,
    report: Callable[[str], object] = lambda doing: None,
) -> dict[str, float]:
    """As many samples as there are training texts, 10,000 at most, against texts the GAN has not seen: those held out,
    or `reference`. Each score also of those texts themselves (`_floor`) and of their words shuffled (`_shuffled`).

    `unique`, `copied` (word for word from the training texts), `span` (symbols of the longest run copied), `repeated`
    (texts that say a symbol twice in a row), `entropy` of the symbols in nats, `length_tv` and `bigram_tv` (total
    variation to the training texts), `frechet` in the features of `Encoder`; `perplexity` of samples to a language
    model trained on the data and `reverse_perplexity` of real texts to one trained on samples; `bleu_n` of 200 samples
    against the reference, `self_bleu_n` against the other samples.
    """
    vocabulary = _vocabulary(dataset)
    training = _batch(dataset, MOST)
    length = training.shape[1]
    if reference is None:
        real = _batch(dataset.held_out or dataset, MOST)
    else:
        real = vocabulary.encode([t for t in reference if len(vocabulary.numbers(t)) <= length][:MOST], length)
    if len(real) < 2:
        raise DataError(f"the reference holds fewer than two texts of up to {length} symbols")
    report(f"drawing {len(training):,} samples")
    texts: Sequence[str] = sample(len(training))[0]  # type: ignore[assignment]
    made = vocabulary.encode(texts, length)
    kinds = {"": made, "_floor": real, "_shuffled": shuffled(real, seed)}
    encoder, known = Encoder(real), _as_tuples(training)
    features = encoder(real)
    real_model = fit_language_model(training, len(vocabulary), seed=seed)
    references = _as_tuples(real)
    scores: dict[str, float] = {}
    for suffix, stored in kinds.items():
        report(f"measuring {({'': 'samples', '_floor': 'held-out texts', '_shuffled': 'shuffled texts'})[suffix]}")
        tuples = _as_tuples(stored)
        found = _counted(tuples[: len(real)], known)
        # The floor of a distance to the real texts is another part of the data.
        found["frechet"] = frechet_distance(encoder(training if suffix == "_floor" else stored), features)
        found["perplexity"] = perplexity(real_model, stored)
        learner = real_model if suffix == "_floor" else fit_language_model(stored, len(vocabulary), seed=seed)
        found["reverse_perplexity"] = perplexity(learner, real)
        if vocabulary.tokenizer != "char":
            others = _as_tuples(training) if suffix == "_floor" else tuples
            found |= _bleu("bleu", others, references, seed) | _bleu("self_bleu", tuples, None, seed)
        scores |= {f"{name}{suffix}": value for name, value in found.items()}
    return scores


class Encoder:
    """Latent semantic analysis (Deerwester et al. 1990): tf-idf of symbols and pairs of them, in the directions in
    which the texts it is fitted on differ most. Deterministic."""

    def __init__(self, texts: Tensor) -> None:
        counts = _grams(texts[:_FITTED])
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


def longest_copied(text: tuple[int, ...], grams: list[set[tuple[int, ...]]]) -> int:
    """Symbols of the longest run of `text` that is in `grams`, whose entry n holds all runs of n + 1 symbols."""
    low, high = 0, min(len(text), len(grams))
    while low < high:
        middle = (low + high + 1) // 2
        found = any(text[i : i + middle] in grams[middle - 1] for i in range(len(text) - middle + 1))
        low, high = (middle, high) if found else (low, middle - 1)
    return low


def total_variation(first: Counter, second: Counter) -> float:
    """Half the sum of the differences of two distributions."""
    n, m = max(1, first.total()), max(1, second.total())
    return sum(abs(first[key] / n - second[key] / m) for key in first | second) / 2


def _counted(texts: Texts, training: Texts) -> dict[str, float]:
    symbols = Counter(symbol for text in texts for symbol in text)
    shares = torch.tensor([float(count) for count in symbols.values()] or [1.0])
    shares = shares / shares.sum()
    known = set(training)
    grams: list[set[tuple[int, ...]]] = [
        {text[i : i + n] for text in training for i in range(len(text) - n + 1)}
        for n in range(1, 1 + max(map(len, training)))
    ]
    return {
        "unique": len(set(texts)) / len(texts),
        "copied": fmean(text in known for text in texts),
        "span": fmean(longest_copied(text, grams) for text in texts),
        "repeated": fmean(any(a == b for a, b in pairwise(text)) for text in texts),
        "entropy": -(shares * shares.log()).sum().item(),
        "length_tv": total_variation(Counter(map(len, texts)), Counter(map(len, training))),
        "bigram_tv": total_variation(_pairs(texts), _pairs(training)),
    }


def _pairs(texts: Texts) -> Counter:
    return Counter(pair for text in texts for pair in pairwise(text))


def _bleu(name: str, texts: Texts, references: Texts | None, seed: int) -> dict[str, float]:
    """Mean BLEU-2 to 5 of some of the texts, smoothed as in Texygen (method 1 of Chen & Cherry 2014)."""
    try:
        from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    except ImportError as error:
        raise DataError('BLEU needs the package nltk: pip install "sparring[text]"') from error
    chosen = random.Random(seed).sample(range(len(texts)), min(HYPOTHESES, len(texts)))
    weights = [(1 / n,) * n for n in ORDERS]
    smooth = SmoothingFunction().method1
    rows = []
    for index in chosen:
        if len(texts[index]) == 0:
            rows.append([0.0] * len(ORDERS))
            continue
        against = references if references is not None else [*texts[:index], *texts[index + 1 :]]
        rows.append(sentence_bleu(against, texts[index], weights, smooth))
    return {f"{name}_{n}": fmean(row[i] for row in rows) for i, n in enumerate(ORDERS)}


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


def _batch(dataset: Dataset, most: int) -> Tensor:
    return dataset.batch(torch.linspace(0, len(dataset) - 1, min(len(dataset), most)).long())[0]


def _vocabulary(dataset: Dataset) -> Vocabulary:
    assert dataset.vocabulary is not None
    return dataset.vocabulary
