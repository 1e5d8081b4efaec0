"""Texts (L,) as numbers of their symbols; a person's are strings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sparring.modalities.modality import Modality
from sparring.modalities.text.facts import symbols
from sparring.modalities.text.opening import TextOpening
from sparring.modalities.text.page import TextPage
from sparring.modalities.text.presets import PRESETS, texts

if TYPE_CHECKING:
    from torch import Tensor

    from sparring.config import Config
    from sparring.data.spec import DataSpec
    from sparring.modalities.display import Display
    from sparring.modalities.scoring import Scoring


class Text(Modality):
    name, kind, axes = "text", "texts", 1
    error_name = "share_of_symbols_wrong"
    tolerance = 2e-2  # where two symbols are nearly as likely, rounding may take either
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
        return symbols(spec).encode(values, spec.sample_shape[0])

    def to_user(self, samples: Tensor, spec: DataSpec) -> Any:
        return symbols(spec).decode(samples)

    def to_user_tensor(self, samples: Tensor, spec: DataSpec) -> Tensor:
        """Still numbers."""
        return samples

    def comparable(self, samples: Tensor, spec: DataSpec) -> Tensor:
        """How often each symbol occurs."""
        import torch

        from sparring.data.vocabulary import END

        counts = torch.zeros(len(samples), len(symbols(spec)))
        return counts.scatter_add_(1, samples, (samples != END).float())

    def joined(self, samples: Sequence[Any]) -> Any:
        return list(samples)

    def difference(self, expected: Tensor, found: Tensor) -> float:
        """The share of symbols that are not the same."""
        return (expected != found).float().mean().item()

    def default(self, spec: DataSpec, count: int) -> Config:
        return texts()

    def check(self, config: Config, spec: DataSpec) -> None:
        from sparring.config import ConfigError

        super().check(config, spec)
        if spec.vocabulary is None:
            raise ConfigError("texts need a vocabulary, and these have none")
