"""Vocabularies: texts to the ids of their symbols, which are characters, words or byte pairs, and back."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import islice, pairwise
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.data.errors import DataError, printable

Tokenizer = Literal["char", "word", "bpe"]

END, UNKNOWN = 0, 1
"""Ids of the symbol that ends and pads texts, and of symbols outside the vocabulary."""
SPECIAL = 2

BYTES = 256  # initial symbols of a byte-pair encoding

# A word includes the space before it, so that the concatenated symbols are the text.
_WORDS = re.compile(r" ?\w+(?:['’]\w+)*| ?[^\w\s]")

MAX_UNSPACED = 4
"""Longest symbol, in characters, in scripts without spaces; most Chinese words are shorter."""

# Thai, Lao, Tibetan, Burmese, Khmer, Japanese and Chinese.
_UNSPACED = re.compile(
    r"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\U00020000-\U0003ffff]+"
)


@dataclass(frozen=True)
class Vocabulary:
    """`symbols[i]` has the id `SPECIAL + i`; byte pairs are merged in the order of `merges`."""

    tokenizer: Tokenizer
    symbols: tuple[str, ...]
    merges: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        """The number of symbols, including the two special ones."""
        return len(self.symbols) + SPECIAL

    @classmethod
    def learn(cls, texts: Iterable[str], tokenizer: Tokenizer, limit: int) -> Vocabulary:
        """The `limit` most frequent symbols of `clean` texts; words must occur at least twice."""
        if tokenizer == "bpe":
            return _learn_bpe(texts, limit)
        counts = Counter(symbol for text in texts for symbol in split_symbols(text, tokenizer))
        least = 2 if tokenizer == "word" else 1
        ranked = sorted(counts.items(), key=_rank)[:limit]
        return cls(tokenizer, tuple(symbol for symbol, count in ranked if count >= least))

    def ids(self, text: str) -> list[int]:
        """The ids of a text's symbols, without END."""
        if self.tokenizer == "bpe":
            return [SPECIAL + number for number in self._bpe.encode(f" {text}").ids]
        return [self._id_of.get(symbol, UNKNOWN) for symbol in split_symbols(text, self.tokenizer)]

    def text(self, numbers: Sequence[int]) -> str:
        """The text of the symbols before the first END, with `�` for UNKNOWN."""
        end = numbers.index(END) if END in numbers else len(numbers)
        if self.tokenizer == "bpe":
            return clean(self._bpe.decode([n - SPECIAL for n in numbers[:end] if n >= SPECIAL]))
        unknown = "�" if self.tokenizer == "char" else " �"
        return clean("".join(unknown if n == UNKNOWN else self.symbols[n - SPECIAL] for n in numbers[:end]))

    def spell(self, index: int) -> str:
        """`symbols[index]` as text; bytes that are only part of a character become `�`."""
        return str(self._bpe.decode([index])) if self.tokenizer == "bpe" else self.symbols[index]

    def encode(self, texts: Sequence[str], length: int) -> Tensor:
        """The texts' ids (N, length) int64, padded with END or cut."""
        return padded([self.ids(text)[:length] for text in texts], length)

    def decode(self, stored: Tensor) -> list[str]:
        """The inverse of `encode`."""
        return [self.text(row) for row in stored.tolist()]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocabulary:
        tokenizer = values["tokenizer"]
        if tokenizer not in ("char", "word", "bpe"):
            raise ValueError("a vocabulary's tokenizer is char, word or bpe")
        merges = tuple((str(first), str(second)) for first, second in values.get("merges", ()))
        return cls(tokenizer, tuple(map(str, values["symbols"])), merges)

    @cached_property
    def _id_of(self) -> dict[str, int]:
        return {symbol: SPECIAL + index for index, symbol in enumerate(self.symbols)}

    @cached_property
    def _bpe(self) -> Any:
        tokenizers = _tokenizers()
        numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        try:
            return _bpe_tokenizer(tokenizers.models.BPE(vocab=numbers, merges=list(self.merges)))
        except Exception as error:  # the package raises nothing narrower
            raise DataError(f"the vocabulary's byte pairs are invalid: {error}") from error


def clean(text: str) -> str:
    """`text` in NFC with single spaces, without control characters of terminals or of writing direction."""
    return unicodedata.normalize("NFC", printable(text.encode("utf-8", "ignore").decode("utf-8")))


def padded(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    """Rows of up to `length` ids as (N, length) int64, padded with END."""
    stored = torch.full((len(rows), length), END)
    for place, row in zip(stored, rows, strict=True):
        place[: len(row)] = torch.tensor(row, dtype=torch.int64)
    return stored


def target_mask(texts: Tensor) -> Tensor:
    """The symbols of texts (B, N) that a model predicts: all known ones up to the first END, included."""
    return (F.pad(texts, (1, -1), value=UNKNOWN) != END) & (texts != UNKNOWN)


def symbol_error_rate(texts: Tensor, others: Tensor) -> float:
    """The share of differing symbols of two batches (B, N), relative to the longer text of each pair."""
    longer = (texts != END) | (others != END)
    return (others != texts)[longer].float().mean().item()


def split_symbols(text: str, tokenizer: Tokenizer) -> list[str]:
    """Characters, or words and punctuation marks with the space before them, also before the first one."""
    return list(text) if tokenizer == "char" else _WORDS.findall(f" {text}")


def _rank(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _learn_bpe(texts: Iterable[str], limit: int) -> Vocabulary:
    tokenizers = _tokenizers()
    if limit <= BYTES:
        raise DataError(
            f"byte pairs need more than the {BYTES} symbols of the bytes: choose a larger --data.vocabulary"
        )
    pairs = _bpe_tokenizer(tokenizers.models.BPE())
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    # As for words, one occurrence is not enough.
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=limit, min_frequency=2, initial_alphabet=alphabet, show_progress=False
    )
    pairs.train_from_iterator(
        (part for index, text in enumerate(texts) for part in _split_unspaced(f" {text}", index)), trainer
    )
    symbols = tuple(pairs.id_to_token(number) for number in range(pairs.get_vocab_size()))
    return Vocabulary("bpe", symbols, tuple(map(tuple, json.loads(pairs.to_str())["model"]["merges"])))


def _split_unspaced(text: str, index: int) -> list[str]:
    """Cuts scripts without spaces into parts of up to `MAX_UNSPACED` characters, so that symbols do not span sentences.

    The first cut depends on the text's `index`, so that no two characters are always separated.
    """
    cuts = [
        place
        for run in _UNSPACED.finditer(text)
        for place in range(run.start() + 1 + index % MAX_UNSPACED, run.end(), MAX_UNSPACED)
    ]
    return [text[start:stop] for start, stop in pairwise([0, *cuts, len(text)])]


def _bpe_tokenizer(model: Any) -> Any:
    tokenizers = _tokenizers()
    pairs = tokenizers.Tokenizer(model)
    pairs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = tokenizers.decoders.ByteLevel()
    return pairs


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise DataError('byte-pair encoding needs the package tokenizers: pip install "sparring[text]"') from error
    return tokenizers


def describe_symbols(vocabulary: Vocabulary) -> str:
    """A note with the number of symbols and a few examples."""
    if vocabulary.tokenizer == "bpe":
        # Single bytes and parts of characters are not readable.
        spelled = map(vocabulary.spell, range(len(vocabulary.symbols) - 1, BYTES - 1, -1))
        few = [*islice((symbol for symbol in spelled if "�" not in symbol), 5)][::-1]
    else:
        few = [*vocabulary.symbols[:5]]
    most = "the last learnt" if vocabulary.tokenizer == "bpe" else "the most frequent"
    shown = f", {most} {json.dumps(few, ensure_ascii=False)}" if few else ""
    return f"{len(vocabulary.symbols):,} symbols ({vocabulary.tokenizer}){shown}"
