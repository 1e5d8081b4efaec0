"""The description of the data for networks, metrics and pictures."""

import math
from dataclasses import dataclass, field
from typing import Any

from sparring.data.channels import Channels
from sparring.data.conditions import Condition, Unconditional, condition_from_dict
from sparring.data.dataset import Dataset
from sparring.data.vocabulary import Vocabulary

MAX_NUMBERS = 2**31
"""Numbers in one sample, far more than a network takes."""


@dataclass(frozen=True)
class DataSpec:
    """The description of the data, stored with the weights."""

    sample_shape: tuple[int, ...]
    condition: Condition = field(default_factory=Unconditional)
    channels: Channels | None = None
    vocabulary: Vocabulary | None = None
    modality: str = field(kw_only=True)
    """The name of an entry of `sparring.modalities.registry.MODALITIES`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Empty if samples are not conditioned on classes."""
        return self.condition.class_names

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Empty if channels have no names."""
        return () if self.channels is None else self.channels.names

    def to_dict(self) -> dict[str, Any]:
        return {
            "modality": self.modality,
            "sample_shape": list(self.sample_shape),
            "condition": self.condition.to_dict(),
            "channels": None if self.channels is None else self.channels.to_dict(),
            "vocabulary": None if self.vocabulary is None else self.vocabulary.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataSpec":
        channels, vocabulary = values.get("channels"), values.get("vocabulary")
        shape = tuple(int(size) for size in values["sample_shape"])
        if min(shape, default=1) < 1 or math.prod(shape) > MAX_NUMBERS:
            raise ValueError(f"there are no samples of the shape {shape}")
        if channels is not None and shape[0] != len(channels["names"]) + bool(channels["masked"]):
            raise ValueError("every channel of a sample must have a name")
        return cls(
            shape,
            condition_from_dict(values["condition"]),
            None if channels is None else Channels.from_dict(channels),
            None if vocabulary is None else Vocabulary.from_dict(vocabulary),
            modality=str(values["modality"]),
        )

    @classmethod
    def of(cls, dataset: Dataset) -> "DataSpec":
        return cls(
            dataset.sample_shape, dataset.condition, dataset.channels, dataset.vocabulary,
            modality=dataset.modality,
        )  # fmt: skip

    def like(self, other: "DataSpec") -> bool:
        """Whether samples are of one kind; the scaling of series and vectors may differ, as it is fitted to data."""
        facts = [
            (s.modality, s.sample_shape, s.condition.kind, s.condition.names, s.channel_names, s.vocabulary)
            for s in (self, other)
        ]
        return facts[0] == facts[1]
