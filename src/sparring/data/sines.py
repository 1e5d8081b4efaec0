"""Sines of random frequency and phase, the synthetic series of TimeGAN (Yoon et al., 2019)."""

from __future__ import annotations

import numpy as np
import torch

from sparring.data.channels import Channels
from sparring.data.dataset import DataError, TensorDataset, digest, number_classes
from sparring.data.series import fit_scaling

_NAME = "sines"
_MOST_NUMBERS = 200_000_000
_MOST = 0.1  # largest frequency in radians a step, and largest phase in radians


def sines(length: int = 24, channels: int = 5, count: int = 10_000, seed: int = 0) -> TensorDataset:
    """`count` samples (channels, length) of (sin(f t + p) + 1) / 2 at t = 0, 1, ...

    Frequency f and phase p are U[0, 0.1] for each channel of each sample. `held_out` has a tenth as many other samples,
    with the same scaling.
    """
    if length * channels * count > _MOST_NUMBERS:
        raise DataError(f"{count} sines of {length} steps do not fit in memory: lower --window")
    values = _draw(length, channels, count, [seed, 0])
    names = [f"sine {index}" for index in range(1, channels + 1)]
    scaling, _, _ = fit_scaling(_NAME, values.transpose(0, 2, 1).reshape(-1, channels), names)
    dataset = _dataset(values, scaling)
    dataset.held_out = _dataset(_draw(length, channels, max(1, count // 10), [seed, 1]), scaling)
    return dataset


def _draw(length: int, channels: int, count: int, seed: list[int]) -> np.ndarray:
    """Series (count, channels, length) float32 in [0, 1]."""
    generator = np.random.default_rng(seed)
    frequency, phase = generator.uniform(0, _MOST, (2, count, channels, 1))
    return ((np.sin(frequency * np.arange(length) + phase) + 1) / 2).astype(np.float32)


def _dataset(values: np.ndarray, scaling: Channels) -> TensorDataset:
    samples = scaling.store(torch.from_numpy(values))
    classes, class_names = number_classes(None, len(samples))
    return TensorDataset(
        name=_NAME,
        modality="series",
        sample_shape=tuple(samples.shape[1:]),
        classes=classes,
        class_names=class_names,
        fingerprint=digest(samples),
        value_range="float32 [0, 1]",
        samples=samples,
        channels=scaling,
    )
