"""Data sets whose samples are decoded on demand."""

from __future__ import annotations

import os
from abc import abstractmethod
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from sparring.data.dataset import DataError, Dataset, printable

THREADS = min(8, os.cpu_count() or 1)

Pixels = npt.NDArray[np.uint8]


@dataclass(kw_only=True, eq=False)
class StreamedDataset(Dataset):
    """Pixels decoded by several threads; an unreadable sample is reported and replaced by the next one."""

    storage: ClassVar[str] = "streamed"

    def __post_init__(self) -> None:
        self._pool = ThreadPoolExecutor(THREADS)
        self._lost: set[int] = set()
        self._lock = Lock()

    @abstractmethod
    def decode(self, position: int) -> Pixels | str:
        """The pixels (C, *axes) of a sample, or the reason why it cannot be decoded."""

    @abstractmethod
    def name_of(self, position: int) -> str:
        """The file of a sample."""

    def batch(self, indices: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        chosen = torch.arange(len(self))[indices.to("cpu", torch.int64)]
        loaded = list(self._pool.map(self._load, chosen.tolist()))
        used = torch.tensor([position for position, _ in loaded])
        samples = torch.from_numpy(np.stack([pixels for _, pixels in loaded]))
        del loaded  # large pictures are held once
        return samples.float().div_(127.5).sub_(1), self.conditions_of(used)

    def _load(self, wanted: int) -> tuple[int, Pixels]:
        for step in range(len(self)):
            position = (wanted + step) % len(self)
            if position in self._lost:
                continue
            pixels = self.decode(position)
            if not isinstance(pixels, str):
                return position, pixels
            with self._lock:
                if position not in self._lost:
                    self._lost.add(position)
                    self.skipped.append(printable(f"{self.name_of(position)}: {pixels}"))
        raise DataError(f"no sample of {self.name} can be read any more; is its disk still mounted?")
