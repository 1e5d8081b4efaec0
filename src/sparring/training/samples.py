"""Sheets of samples during a run, and of the codec's reconstructions."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.codecs.codec import Codec
from sparring.data.dataset import Dataset
from sparring.data.spec import DataSpec
from sparring.metrics.metric import Sampler
from sparring.modalities.registry import modality_of
from sparring.training.diagnostics import diversity
from sparring.training.logs import Row

COUNT = 100  # samples of a sheet
CODEC_COUNT = 20  # samples and reconstructions of a codec's sheet


class SampleSheets:
    """Draws sheets into a run's folder; `sample` uses the same z at each call."""

    def __init__(
        self, folder: Path, dataset: Dataset, spec: DataSpec, sample: Sampler, log: Callable[[str], None]
    ) -> None:
        self.folder, self.dataset, self.spec, self.sample, self.log = folder, dataset, spec, sample, log
        self.modality = modality_of(spec)

    def observe(self, row: Row) -> Row:
        """Saves a sheet of samples; returns their diversity."""
        samples, classes = self.sample(COUNT)
        self._save(samples, row, self._columns())
        if lines := self.modality.display.lines(samples):
            self.log(f"samples: {' | '.join(lines[:3])}")
        if classes is None:
            classes = torch.zeros(COUNT, dtype=torch.long)
        made, real = self.modality.to_model(samples, self.spec), self._real_samples(classes)
        made, real = (self.modality.comparable(part, self.spec) for part in (made, real))
        return {"diversity": diversity(made, real, classes)}

    @torch.no_grad()
    def observe_codec(self, codec: Codec, device: torch.device, row: Row) -> Row:
        """Saves a sheet of real samples, each next to its reconstruction; returns the codec's error."""
        shown = torch.linspace(0, len(self.dataset) - 1, CODEC_COUNT).long()
        samples = self.dataset.batch(shown)[0]
        decoded = codec.decode(codec.encode(samples.to(device))).to(samples)
        pairs = torch.stack([samples, decoded], 1).flatten(0, 1)
        self._save(self.modality.to_user(pairs, self.spec), row, 2)
        return {"codec/error": codec.error(samples, decoded)}

    def save_last(self) -> None:
        """Saves the sheet of a finished run."""
        self.modality.display.save_sheet(self.sample(COUNT)[0], self.folder / "samples", self._columns())

    def _save(self, samples: Any, row: Row, columns: int) -> None:
        folder = self.folder / "samples"
        folder.mkdir(exist_ok=True)
        self.modality.display.save_sheet(samples, folder / f"{row['samples_seen']:012d}", columns)

    def _real_samples(self, classes: Tensor) -> Tensor:
        """Real samples of these classes, at evenly spaced indices."""
        labels, chosen = self.dataset.labels(), torch.empty_like(classes)
        for label in classes.unique():
            indices = (labels == label).nonzero().flatten()
            indices = indices if len(indices) else torch.arange(len(labels))
            wanted = classes == label
            chosen[wanted] = indices[torch.linspace(0, len(indices) - 1, int(wanted.sum())).long()]
        return self.dataset.batch(chosen)[0]

    def _columns(self) -> int:
        """The number of columns; up to 20 classes have columns of their own."""
        classes = self.spec.num_classes
        return classes * max(1, 10 // classes) if 2 <= classes <= 20 else 10
