"""Texts as numbered symbols and back: characters, words, or a learnt byte-pair encoding."""

from __future__ import annotations

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from sparring.data.dataset import DataError

Tokenizer = Literal["char", "word", "bpe"]

END, UNKNOWN = 0, 1
"""Numbers of the symbol that ends a text and fills what is beyond, and of whatever the vocabulary lacks."""
SPECIAL = 2

# A word keeps the space before it, so that the symbols of a text, put together, are the text again.
_TURNING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_WORDS = re.compile(r" ?\w+(?:['’]\w+)*| ?[^\w\s]")


@dataclass(frozen=True)
class Vocabulary:
    """Symbol `SPECIAL + i` is `symbols[i]`; a byte-pair encoding knows its own from `rules`, its JSON."""

    tokenizer: Tokenizer
    symbols: tuple[str, ...]
    rules: str = field(default="", repr=False)

    def __len__(self) -> int:
        """Symbols in all, with the two special ones."""
        return len(self.symbols) + SPECIAL

    @classmethod
    def learn(cls, texts: Iterable[str], tokenizer: Tokenizer, limit: int) -> Vocabulary:
        """The `limit` most frequent symbols of texts that are `clean`; of words those that occur more than once."""
        if tokenizer == "bpe":
            rules = _learn_pairs(texts, limit)
            return cls("bpe", tuple(rules.id_to_token(i) for i in range(rules.get_vocab_size())), rules.to_str())
        counts = Counter(symbol for text in texts for symbol in pieces(text, tokenizer))
        least = 2 if tokenizer == "word" else 1
        ranked = sorted(counts.items(), key=_rank)[:limit]
        return cls(tokenizer, tuple(symbol for symbol, count in ranked if count >= least))

    def numbers(self, text: str) -> list[int]:
        """The symbols of a text, without an end."""
        if self.tokenizer == "bpe":
            return [SPECIAL + number for number in self._pairs.encode(f" {text}").ids]
        return [self._number.get(symbol, UNKNOWN) for symbol in pieces(text, self.tokenizer)]

    def text(self, numbers: Sequence[int]) -> str:
        """What the symbols before the first end spell; `�` where there is none."""
        end = numbers.index(END) if END in numbers else len(numbers)
        if self.tokenizer == "bpe":
            return clean(self._pairs.decode([n - SPECIAL for n in numbers[:end] if n >= SPECIAL]))
        unknown = "�" if self.tokenizer == "char" else " �"
        return clean("".join(unknown if n == UNKNOWN else self.symbols[n - SPECIAL] for n in numbers[:end]))

    def encode(self, texts: Sequence[str], length: int) -> Tensor:
        """(N, length) int64, filled up with `END`; what is longer is cut."""
        stored = torch.full((len(texts), length), END)
        for row, text in zip(stored, texts, strict=True):
            numbers = self.numbers(text)[:length]
            row[: len(numbers)] = torch.tensor(numbers, dtype=torch.int64)
        return stored

    def decode(self, stored: Tensor) -> list[str]:
        """The inverse of `encode`."""
        return [self.text(row) for row in stored.tolist()]

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Vocabulary:
        tokenizer, rules = values["tokenizer"], values.get("rules", "")
        if tokenizer not in ("char", "word", "bpe") or not isinstance(rules, str):
            raise ValueError("a vocabulary's tokenizer is char, word or bpe")
        return cls(tokenizer, tuple(map(str, values["symbols"])), rules)

    @cached_property
    def _number(self) -> dict[str, int]:
        return {symbol: SPECIAL + index for index, symbol in enumerate(self.symbols)}

    @cached_property
    def _pairs(self) -> Any:
        try:
            return _tokenizers().Tokenizer.from_str(self.rules)
        except DataError:
            raise
        except Exception as error:  # the package raises nothing narrower
            raise DataError(f"the vocabulary's rules cannot be read: {error}") from error


def clean(text: str) -> str:
    """Composed characters (NFC), single spaces, and nothing that controls a terminal or turns a line around."""
    kept = (c for c in text if c.isspace() or (unicodedata.category(c) not in ("Cc", "Cs") and c not in _TURNING))
    return unicodedata.normalize("NFC", " ".join("".join(kept).split()))


def pieces(text: str, tokenizer: Tokenizer) -> list[str]:
    """Characters, or words and marks with the space before them; the first word is as any other."""
    return list(text) if tokenizer == "char" else _WORDS.findall(f" {text}")


def _rank(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _learn_pairs(texts: Iterable[str], limit: int) -> Any:
    tokenizers = _tokenizers()
    pairs = tokenizers.Tokenizer(tokenizers.models.BPE())
    pairs.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=limit,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    pairs.train_from_iterator((f" {text}" for text in texts), trainer)
    return pairs


def _tokenizers() -> Any:
    try:
        import tokenizers
    except ImportError as error:
        raise DataError('byte-pair encoding needs the package tokenizers: pip install "sparring[text]"') from error
    return tokenizers


def describe_symbols(vocabulary: Vocabulary) -> str:
    """For a note: how many there are, and the first few."""
    first = json.dumps(list(vocabulary.symbols[:5]), ensure_ascii=False)
    return f"{len(vocabulary.symbols):,} symbols ({vocabulary.tokenizer}), the most frequent {first}"
