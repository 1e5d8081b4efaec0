"""Texts as numbered symbols and back: characters, words, or a learnt byte-pair encoding."""

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
"""Numbers of the symbol that ends a text and fills what is beyond, and of whatever the vocabulary lacks."""
SPECIAL = 2

BYTES = 256  # symbols that a byte-pair encoding begins with

# A word keeps the space before it, so that the symbols of a text, put together, are the text again.
_WORDS = re.compile(r" ?\w+(?:['’]\w+)*| ?[^\w\s]")

SPAN = 4
"""Characters of the longest symbol that is learnt where a script has no spaces: most words of Chinese are shorter."""

# Thai, Lao, Tibetan, Burmese, Khmer, Japanese and Chinese.
_UNSPACED = re.compile(
    r"[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    r"\uf900-\ufaff\U00020000-\U0003ffff]+"
)


@dataclass(frozen=True)
class Vocabulary:
    """Symbol `SPECIAL + i` is `symbols[i]`; byte pairs are joined as `merges` say, the first ones first."""

    tokenizer: Tokenizer
    symbols: tuple[str, ...]
    merges: tuple[tuple[str, str], ...] = ()

    def __len__(self) -> int:
        """Symbols in all, with the two special ones."""
        return len(self.symbols) + SPECIAL

    @classmethod
    def learn(cls, texts: Iterable[str], tokenizer: Tokenizer, limit: int) -> Vocabulary:
        """The `limit` most frequent symbols of texts that are `clean`; of words those that occur more than once."""
        if tokenizer == "bpe":
            return _learn_pairs(texts, limit)
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
        """What the symbols before the first end spell, `�` for an unknown character or word."""
        end = numbers.index(END) if END in numbers else len(numbers)
        if self.tokenizer == "bpe":
            return clean(self._pairs.decode([n - SPECIAL for n in numbers[:end] if n >= SPECIAL]))
        unknown = "�" if self.tokenizer == "char" else " �"
        return clean("".join(unknown if n == UNKNOWN else self.symbols[n - SPECIAL] for n in numbers[:end]))

    def spell(self, index: int) -> str:
        """`symbols[index]` as it is read: of byte pairs the characters that their bytes make, `�` for a part of one."""
        return str(self._pairs.decode([index])) if self.tokenizer == "bpe" else self.symbols[index]

    def encode(self, texts: Sequence[str], length: int) -> Tensor:
        """(N, length) int64, filled up with `END`; what is longer is cut."""
        return filled_up([self.numbers(text)[:length] for text in texts], length)

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
    def _number(self) -> dict[str, int]:
        return {symbol: SPECIAL + index for index, symbol in enumerate(self.symbols)}

    @cached_property
    def _pairs(self) -> Any:
        tokenizers = _tokenizers()
        numbers = {symbol: number for number, symbol in enumerate(self.symbols)}
        try:
            return _byte_pairs(tokenizers.models.BPE(vocab=numbers, merges=list(self.merges)))
        except Exception as error:  # the package raises nothing narrower
            raise DataError(f"the vocabulary's byte pairs make no sense: {error}") from error


def clean(text: str) -> str:
    """Composed characters (NFC), single spaces, and nothing that controls a terminal or turns a line around."""
    return unicodedata.normalize("NFC", printable(text.encode("utf-8", "ignore").decode("utf-8")))


def filled_up(rows: Sequence[Sequence[int]], length: int) -> Tensor:
    """Rows of up to `length` symbols as (N, length) int64, with ends behind them."""
    stored = torch.full((len(rows), length), END)
    for place, row in zip(stored, rows, strict=True):
        place[: len(row)] = torch.tensor(row, dtype=torch.int64)
    return stored


def up_to_the_end(texts: Tensor) -> Tensor:
    """Which symbols of texts (B, N) are to be foretold: a mask of all that are known, the first end included."""
    return (F.pad(texts, (1, -1), value=UNKNOWN) != END) & (texts != UNKNOWN)


def share_changed(texts: Tensor, others: Tensor) -> float:
    """The share of symbols, of the longer of two texts, that are not the same; (B, N) each."""
    longer = (texts != END) | (others != END)
    return (others != texts)[longer].float().mean().item()


def pieces(text: str, tokenizer: Tokenizer) -> list[str]:
    """Characters, or words and marks with the space before them; the first word is as any other."""
    return list(text) if tokenizer == "char" else _WORDS.findall(f" {text}")


def _rank(entry: tuple[str, int]) -> tuple[int, str]:
    return -entry[1], entry[0]


def _learn_pairs(texts: Iterable[str], limit: int) -> Vocabulary:
    tokenizers = _tokenizers()
    if limit <= BYTES:
        raise DataError(
            f"byte pairs need more than the {BYTES} symbols of the bytes: choose a larger --data.vocabulary"
        )
    pairs = _byte_pairs(tokenizers.models.BPE())
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    # A pair that occurs once cannot be learnt, as a word that does cannot.
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=limit, min_frequency=2, initial_alphabet=alphabet, show_progress=False
    )
    pairs.train_from_iterator((part for index, text in enumerate(texts) for part in _parts(f" {text}", index)), trainer)
    symbols = tuple(pairs.id_to_token(number) for number in range(pairs.get_vocab_size()))
    return Vocabulary("bpe", symbols, tuple(map(tuple, json.loads(pairs.to_str())["model"]["merges"])))


def _parts(text: str, index: int) -> list[str]:
    """A text in which pairs are counted, cut so that no part holds more than `SPAN` characters in a row of a script
    without spaces: what spaces end elsewhere would go on to the end of the sentence.

    The first cut of a row wanders from text to text (`index`), so that no two characters are always cut apart.
    """
    cuts = [
        place for run in _UNSPACED.finditer(text) for place in range(run.start() + 1 + index % SPAN, run.end(), SPAN)
    ]
    return [text[start:stop] for start, stop in pairwise([0, *cuts, len(text)])]


def _byte_pairs(model: Any) -> Any:
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
    """For a note: how many there are, and a few."""
    if vocabulary.tokenizer == "bpe":
        # The first are single bytes, and some of the others a part of a character: nothing to read.
        spelled = map(vocabulary.spell, range(len(vocabulary.symbols) - 1, BYTES - 1, -1))
        few = [*islice((symbol for symbol in spelled if "�" not in symbol), 5)][::-1]
    else:
        few = [*vocabulary.symbols[:5]]
    most = "the last learnt" if vocabulary.tokenizer == "bpe" else "the most frequent"
    shown = f", {most} {json.dumps(few, ensure_ascii=False)}" if few else ""
    return f"{len(vocabulary.symbols):,} symbols ({vocabulary.tokenizer}){shown}"
