"""Texts: a sample is a line, a sentence, or a field of a table's row."""

from __future__ import annotations

import codecs
import csv
import json
import math
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal

import torch

from sparring.data.dataset import (
    IGNORED_LABELS,
    LABEL_COLUMNS,
    Conditional,
    DataError,
    TensorDataset,
    digest,
    number_classes,
)
from sparring.data.vocabulary import UNKNOWN, Tokenizer, Vocabulary, clean, describe_symbols, padded
from sparring.plain_json import read_json

Split = Literal["line", "sentence"]

FEWEST = 64
LONGEST_LINE = 100_000  # characters
LARGEST_FILE = 2 * 1024**3  # bytes
LENGTHS_KEPT = 0.99  # share of the texts that fit the default length
LONGEST = 128  # largest default length, in symbols
MOST_SYMBOLS = {"char": 4_000, "word": 8_000, "bpe": 2_000}
MOST_HELD_OUT = 1_000

_TABLES = {".csv": ",", ".tsv": "\t"}
_FIELDS = ("text", "sentence", "content", "caption")
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_SENTENCE = re.compile(r"\S.*?(?:[.!?…]+[\"'”’»)\]]*(?=\s|$)|[。！？]+[”’」』）]*|$)", re.DOTALL)


@dataclass(kw_only=True, eq=False)
class TextDataset(TensorDataset):
    """Texts as ids of their symbols: `samples` (N, L) int32, padded with `vocabulary.END`."""

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Symbols (B, L) int64 and conditions (B, ...)."""
        chosen = indices.to("cpu", torch.int64)
        return self.samples[chosen].long(), self.conditions_of(chosen)


def is_text(path: str, *, field: str | None = None, tokenizer: str | None = None) -> bool:
    """Whether a file holds text: a .jsonl, a .txt without numbers at its start, a table with a setting of texts."""
    ending = os.path.splitext(path)[1].lower()
    if ending == ".jsonl":
        return True
    if ending in _TABLES:
        return field is not None or tokenizer is not None
    return ending == ".txt" and (tokenizer is not None or not _begins_with_numbers(path))


def open_names(**settings: Any) -> TextDataset:
    """The built-in `names`: 5,163 given names of the United States Census of 1990 (public domain)."""
    lines = files("sparring.data").joinpath("names.txt").read_text("ascii").splitlines()
    return build("names", [(line, None) for line in lines], **settings)


def open_text(
    path: str,
    *,
    field: str | None = None,
    split: Split = "line",
    conditional: Conditional = True,
    tokenizer: Tokenizer | None = None,
    vocabulary: int | None = None,
    length: int | None = None,
) -> TextDataset:
    """The lines or sentences (`split`) of a .txt, or of one `field` of a .jsonl, .csv or .tsv, whose label column, if
    any, gives the classes."""
    return build(
        os.path.basename(path), read_texts(path, field=field, split=split), conditional=conditional,
        tokenizer=tokenizer, vocabulary=vocabulary, length=length,
    )  # fmt: skip


def read_texts(path: str, *, field: str | None = None, split: Split = "line") -> list[tuple[str, str | None]]:
    """The texts of a file, unchanged, each with its label or None."""
    if os.path.getsize(path) > LARGEST_FILE:
        raise DataError(f"{path} is larger than {LARGEST_FILE >> 30} GiB: train on a part of it")
    ending = os.path.splitext(path)[1].lower()
    if ending not in (".txt", ".jsonl", *_TABLES):
        raise DataError(f"{path} holds no texts: give a .txt, .jsonl, .csv or .tsv")
    if ending == ".txt" and field:
        raise DataError(f"--data.field has no effect on {path}, which has no fields: drop it")
    if ending == ".txt":
        rows: Iterator[tuple[str, str | None]] = ((line, None) for line in _lines(path))
    else:
        rows = _records(path, ending, field)
    if split == "sentence":
        whole = _paragraphs(rows) if ending == ".txt" else rows
        rows = ((found[0], label) for text, label in whole for found in _SENTENCE.finditer(text))
    return list(rows)


def build(
    name: str,
    rows: list[tuple[str, str | None]],
    *,
    conditional: Conditional = True,
    tokenizer: Tokenizer | None = None,
    vocabulary: int | None = None,
    length: int | None = None,
) -> TextDataset:
    """A data set of texts with labels or None; a fifth of the texts, at most 1,000, is held out."""
    rows = [(text, label) for text, label in ((clean(text), label) for text, label in rows) if text]
    if not rows:
        raise DataError(f"{name} holds no text")
    texts = [text for text, _ in rows]
    if tokenizer is None:
        words = sum(text.count(" ") + 1 for text in texts) / len(texts)
        tokenizer = "word" if words >= 3 else "char"
    limit = vocabulary or MOST_SYMBOLS[tokenizer]
    # Byte pairs can encode any text, so they are learned without the held-out texts; words and characters are not.
    set_aside = {*_shuffled(len(rows))[: _held_out(len(rows))].tolist()} if tokenizer == "bpe" else set()
    known = Vocabulary.learn((text for row, text in enumerate(texts) if row not in set_aside), tokenizer, limit)
    if not known.symbols:
        raise DataError(f"no word of {name} occurs twice, so the vocabulary is empty: set --data.tokenizer char or bpe")
    ids = [known.ids(text) for text in texts]
    if length is None:
        sizes = sorted(map(len, ids))
        length = max(2, min(LONGEST, sizes[int(LENGTHS_KEPT * (len(sizes) - 1))]))
    kept = [row for row in range(len(rows)) if len(ids[row]) <= length]
    if len(kept) < FEWEST:
        raise DataError(
            f"{name} holds {len(kept)} texts of up to {length} symbols: at least {FEWEST} are needed"
            + ("; try --data.split sentence or a larger --data.length" if len(kept) < len(rows) else "")
        )
    notes = [describe_symbols(known)]
    if len(kept) < len(rows):
        notes.append(f"{len(rows) - len(kept):,} of {len(rows):,} texts are longer than {length} symbols: left out")
    unknown = sum(UNKNOWN in ids[row] for row in kept)
    if unknown:
        notes.append(f"{unknown:,} texts hold symbols outside the vocabulary, which are never generated")
    labels = _usable_labels([rows[row][1] for row in kept], conditional, notes)
    classes, class_names = number_classes(labels, len(kept))
    samples = padded([ids[row] for row in kept], length).int()
    chosen = torch.tensor([index for index, row in enumerate(kept) if row in set_aside], dtype=torch.long)
    firsts = classes if conditional != "numbers" else torch.zeros_like(classes)
    training, held_out = _split_rows(firsts, chosen if tokenizer == "bpe" else None)

    def part(name: str, chosen: torch.Tensor) -> TextDataset:
        return TextDataset(
            name=name,
            modality="text",
            sample_shape=(length,),
            classes=classes[chosen],
            class_names=class_names,
            fingerprint=digest(samples[chosen], classes[chosen], known.to_dict()),
            value_range="numbered symbols",
            notes=notes,
            samples=samples[chosen],
            vocabulary=known,
            file_rows=(torch.tensor(kept)[chosen], len(rows)),
        )

    data = part(name, training)
    data.held_out = part(f"{name} (held out)", held_out)
    return data


def _held_out(count: int) -> int:
    return min(MOST_HELD_OUT, count // 5)


def _shuffled(count: int) -> torch.Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def _split_rows(classes: torch.Tensor, chosen: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Training rows and held-out rows: the `chosen` ones, or random ones.

    One row of each class is never held out, so that every class has a training sample.
    """
    order = _shuffled(len(classes))
    firsts = torch.tensor([*{int(classes[row]): int(row) for row in order.flip(0)}.values()])
    if chosen is None:
        held_out = order[~torch.isin(order, firsts)][: _held_out(len(classes))]
    else:
        held_out = chosen[~torch.isin(chosen, firsts)]
    return order[~torch.isin(order, held_out)].sort()[0], held_out.sort()[0]


def _usable_labels(labels: list[str | None], conditional: Conditional, notes: list[str]) -> list[str] | None:
    """The labels if they are usable as classes, else None; adds a note on ignored labels."""
    given = [label for label in labels if label is not None]
    if not given:
        return None
    if not conditional:
        notes.append(IGNORED_LABELS)
    elif len(given) < len(labels):
        notes.append(f"{len(labels) - len(given):,} texts have no label: all labels are ignored")
    elif conditional != "numbers" and len(set(given)) > len(labels) // 10:
        notes.append(f"{len(set(given)):,} labels of {len(labels):,} texts are no classes: they are ignored")
    else:
        return given
    return None


def _lines(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8-sig", newline=None) as handle:
            while line := handle.readline(LONGEST_LINE + 1):
                if "\0" in line:
                    raise DataError(f"{path} is a binary file or UTF-16, not a text in UTF-8: save it as UTF-8")
                if len(line) > LONGEST_LINE and not line.endswith("\n"):
                    raise DataError(
                        f"{path} has a line of more than {LONGEST_LINE:,} characters: put one sample on each line"
                    )
                yield line
    except UnicodeDecodeError as error:
        raise DataError(_not_utf8(path)) from error


def _not_utf8(path: str) -> str:
    """The message about a file that is not UTF-8: its real kind, or the first invalid line."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    with open(path, "rb") as handle:
        start = handle.read(4096)
        if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            return f"{path} is UTF-16: save it as UTF-8"
        if 50 * len(_CONTROLS.findall(start)) > len(start):  # no text encoding has so many
            return f"{path} is a binary file, not a text"
        handle.seek(0)
        while block := handle.read(1 << 16):
            try:
                decoder.decode(block)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                break
            line += block.count(b"\n")
    return f"{path} is not UTF-8 (line {line}): save it as UTF-8"


def _paragraphs(rows: Iterator[tuple[str, str | None]]) -> Iterator[tuple[str, str | None]]:
    """Joins lines up to the next empty line, because sentences span lines."""
    lines: list[str] = []
    for text, _ in rows:
        if text.strip():
            lines.append(text.strip())
        else:
            yield " ".join(lines), None
            lines = []
    yield " ".join(lines), None


def _records(path: str, ending: str, field: str | None) -> Iterator[tuple[str, str | None]]:
    """The text and the label of every record."""
    records = _json_records(path) if ending == ".jsonl" else _table_records(path, _TABLES[ending])
    label_field: str | None = None
    for number, (line, record) in enumerate(records):
        if number == 0:
            field = field or _text_field(path, record)
            label_field = next((key for key in record if key.lower() in LABEL_COLUMNS and key != field), None)
        text, label = record.get(field or ""), record.get(label_field) if label_field else None
        if field not in record:
            known = ", ".join(map(str, record))
            raise DataError(
                f"{path}: line {line} has no field {field!r}; its fields are {known}: choose one with --data.field"
            )
        if text is None:
            raise DataError(f"{path}: line {line} has no value for {field!r}: add a value or remove the line")
        if not isinstance(text, str):
            raise DataError(
                f"{path}: the {field!r} of line {line} is {json.dumps(text)[:40]}, not text: name another --data.field"
            )
        yield text, None if label is None else str(label)


def _text_field(path: str, record: dict[str, Any]) -> str:
    texts = [key for key, value in record.items() if isinstance(value, str)]
    named = [key for key, value in record.items() if key.lower() in _FIELDS and (value is None or key in texts)]
    if not (named or len(texts) == 1):
        raise DataError(f"{path} has the fields {', '.join(map(str, record))}: name the text's with --data.field")
    return (named or texts)[0]


def _json_records(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each record, after its line number."""
    for number, line in enumerate(_lines(path)):
        if not line.strip():
            continue
        try:
            record = read_json(line)
        except ValueError as error:
            raise DataError(f"{path}: line {number + 1} is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise DataError(f'{path}: line {number + 1} is not a JSON object like {{"text": "..."}}')
        yield number + 1, record


def _table_records(path: str, delimiter: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each record, after the number of its last line."""
    try:
        reader = csv.DictReader(_lines(path), delimiter=delimiter)
        for record in reader:
            yield reader.line_num, {key: value for key, value in record.items() if key is not None}
    except csv.Error as error:
        raise DataError(f"{path} is not a readable table: {error}") from error


def _begins_with_numbers(path: str) -> bool:
    with open(path, "rb") as handle:
        rows = [row for row in handle.read(4096).decode("utf-8", "replace").splitlines()[:4] if row.strip()]
    cells = [cell for row in rows[1:] for cell in re.split(r"[\s,;]+", row.strip()) if cell]
    return bool(cells) and all(map(_is_number, cells))


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False
