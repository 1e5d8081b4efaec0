"""What networks, metrics and pictures must know of the data."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from sparring.data.channels import Channels
from sparring.data.conditions import Classes, Condition, Unconditional
from sparring.data.dataset import Dataset
from sparring.data.vocabulary import END, Vocabulary


@dataclass(frozen=True)
class DataSpec:
    """What the networks must know of the data, stored with the weights."""

    sample_shape: tuple[int, ...]
    class_names: tuple[str, ...] = ()
    channels: Channels | None = None
    vocabulary: Vocabulary | None = None
    modality: str = ""

    @property
    def condition(self) -> Condition:
        return Classes(self.class_names) if self.class_names else Unconditional()

    @property
    def num_classes(self) -> int:
        return len(self.class_names)

    def to_dict(self) -> dict[str, Any]:
        return {
            "sample_shape": list(self.sample_shape),
            "class_names": list(self.class_names),
            "channels": None if self.channels is None else self.channels.to_dict(),
            "vocabulary": None if self.vocabulary is None else self.vocabulary.to_dict(),
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "DataSpec":
        channels, vocabulary = values.get("channels"), values.get("vocabulary")
        shape = tuple(int(size) for size in values["sample_shape"])
        if channels is not None and shape[0] != len(channels["names"]) + bool(channels["masked"]):
            raise ValueError("as many channels as a sample has must be named")
        return cls(
            shape,
            tuple(map(str, values["class_names"])),
            None if channels is None else Channels.from_dict(channels),
            None if vocabulary is None else Vocabulary.from_dict(vocabulary),
        )

    @classmethod
    def of(cls, dataset: Dataset) -> "DataSpec":
        return cls(
            dataset.sample_shape,
            tuple(dataset.class_names),
            dataset.channels,
            dataset.vocabulary,
            "points"
            if dataset.name in ("rings", "grid")
            else ["", "text", "series", "image", "video"][len(dataset.sample_shape)],
        )

    def like(self, other: "DataSpec") -> bool:
        """Whether samples are of one kind; the scaling of series may differ, as it is measured."""
        facts = [
            (spec.sample_shape, spec.class_names, spec.channels and spec.channels.names, spec.vocabulary)
            for spec in (self, other)
        ]
        return facts[0] == facts[1]

    def stored(self, samples: Any) -> Tensor:
        """The inverse of `finish`: numbers of like size in every channel, or those of a text's symbols."""
        if self.vocabulary is not None:
            return self.vocabulary.encode(samples, self.sample_shape[0])
        return samples if self.channels is None else self.channels.store(samples)

    def finish(self, samples: Tensor) -> Any:
        """What the codec decoded, as a person expects it: pixels within [-1, 1], series in their own units, on the CPU;
        texts as a list of strings."""
        if self.vocabulary is not None:
            return self.vocabulary.decode(samples)
        return self.restore(samples.float().cpu())

    def restore(self, samples: Tensor) -> Tensor:
        """`finish` for what can be done in tensors: pixels and series; a text's symbols stay numbers."""
        if self.vocabulary is not None:
            return samples
        return samples.clamp(-1, 1) if self.channels is None else self.channels.restore(samples)

    def comparable(self, samples: Tensor) -> Tensor:
        """Stored samples as numbers whose differences mean something: of a text how often each symbol occurs."""
        if self.vocabulary is None:
            return samples
        counts = torch.zeros(len(samples), len(self.vocabulary))
        return counts.scatter_add_(1, samples, (samples != END).float())
