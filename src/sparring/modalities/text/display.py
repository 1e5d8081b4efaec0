"""Texts as lines."""

from collections.abc import Sequence
from html import escape
from pathlib import Path

from sparring.config import ConfigError
from sparring.data.dataset import printable
from sparring.data.spec import DataSpec
from sparring.display import texts
from sparring.modalities.display import Display


class TextDisplay(Display):
    sheet_suffix = single_suffix = ".txt"
    suffixes = (".txt", ".jsonl")
    array_suffixes = ()

    def save_sheet(self, samples: Sequence[str], path: Path, columns: int | None = None) -> Path:
        path = path if path.suffix else path.with_suffix(self.sheet_suffix)
        if path.suffix.lower() not in self.suffixes:
            raise ConfigError(f"--out {path} must end in {', '.join(self.suffixes)}: texts have no other format")
        texts.save_lines(samples, path, columns)
        return path

    def save_one(self, samples: Sequence[str], path: Path, spec: DataSpec) -> None:
        texts.save_lines(samples[:1], path)

    def save_all(self, samples: Sequence[str], path: Path, spec: DataSpec) -> None:
        texts.save_lines(samples, path)

    def html(self, samples: Sequence[str], alt: str, columns: int | None = None) -> str:
        return "<ul>" + "".join(f"<li>{escape(printable(text))}</li>" for text in samples) + "</ul>"

    def lines(self, samples: Sequence[str]) -> list[str]:
        return list(samples)
