"""Texts (L,) as symbol numbers; the user's form is strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparring.modalities.modality import Modality
from sparring.modalities.page import Page
from sparring.modalities.text.opening import TextOpening
from sparring.modalities.text.presets import PRESETS, texts

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.config import Config
    from sparring.data.spec import DataSpec
    from sparring.data.vocabulary import Vocabulary
    from sparring.modalities.display import Display
    from sparring.modalities.scoring import Scoring


class TextPage(Page):
    kind = "texts"
    pipeline = "text-generation"

    def vocabulary(self, spec: DataSpec) -> dict[str, Any] | None:
        known = _vocabulary(spec)
        facts: dict[str, Any] = {"tokenizer": known.tokenizer, "symbols": list(known.symbols)}
        return facts | ({"bytes": bytes_of_letters()} if known.tokenizer == "bpe" else {})

    def encode(self, samples: Any) -> Sequence[str]:
        texts: list[str] = samples
        return texts

    def description(self, spec: DataSpec) -> str:
        return f"texts of at most {spec.sample_shape[0]} symbols"

    def returns(self, spec: DataSpec, count: int) -> str:
        return f"{count} strings"


# Radford et al. 2019 (GPT-2): unprintable bytes are written as letters from the 256th on
def bytes_of_letters() -> dict[str, int]:
    """Maps each letter of a byte-pair symbol to its byte."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    other = [byte for byte in range(256) if byte not in plain]
    return {chr(byte): byte for byte in plain} | {chr(256 + index): byte for index, byte in enumerate(other)}


class Text(Modality):
    name, kind, axes = "text", "texts", 1
    symbolic = True
    error_name = "share_of_symbols_wrong"
    tolerance = 2e-2  # rounding may decide between two symbols that are almost equally likely
    repeatable = False

    opening = TextOpening()
    page = TextPage()
    presets = PRESETS

    @property
    def display(self) -> Display:
        from sparring.modalities.text.display import TextDisplay

        return TextDisplay(self.kind)

    @property
    def scoring(self) -> Scoring:
        from sparring.modalities.text.scoring import TextScoring

        return TextScoring()

    def to_model(self, values: Any, spec: DataSpec) -> Tensor:
        return _vocabulary(spec).encode(values, spec.sample_shape[0])

    def to_user(self, samples: Tensor, spec: DataSpec) -> Any:
        return _vocabulary(spec).decode(samples)

    def to_user_tensor(self, samples: Tensor, spec: DataSpec) -> Tensor:
        return samples

    def comparable(self, samples: Tensor, spec: DataSpec) -> Tensor:
        """How often each symbol occurs in a text, (N, symbols)."""
        import torch

        from sparring.data.vocabulary import END

        counts = torch.zeros(len(samples), len(_vocabulary(spec)))
        return counts.scatter_add_(1, samples, (samples != END).float())

    def stacked(self, samples: Sequence[Any]) -> Any:
        return list(samples)

    def difference(self, expected: Tensor, found: Tensor) -> float:
        """The share of symbols that differ."""
        return (expected != found).float().mean().item()

    def default(self, spec: DataSpec, count: int) -> Config:
        return texts()

    def check(self, config: Config, spec: DataSpec) -> None:
        from sparring.config import ConfigError

        super().check(config, spec)
        if spec.vocabulary is None:
            raise ConfigError("texts need a vocabulary, and these have none")


def _vocabulary(spec: DataSpec) -> Vocabulary:
    assert spec.vocabulary is not None, "texts have a vocabulary"
    return spec.vocabulary
