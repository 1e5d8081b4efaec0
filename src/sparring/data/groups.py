"""Classes for data without labels: groups of alike samples, found by k-means with groups of one size."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from sparring.data.dataset import DataError, Dataset

_SIDES = {1: 32, 2: 14, 3: 8}
"""Samples of so many axes are brought to at most so many elements along each before they are compared."""

_LOOKED_AT = 20_000  # samples that decide where the groups lie
_CHUNK = 512
_ROUNDS, _BALANCING = 30, 50
_SOFTNESS = 0.05  # of a sample's belonging to a group, as a share of the mean squared distance


# Liu et al. 2020 (self-conditioned GAN) condition both networks on such groups; groups of one size: Caron et al. 2020
# (SwAV), section 3.1
def group(dataset: Dataset, count: int) -> None:
    """Gives every sample of `dataset` one of `count` groups of about the same size as its class.

    As they are of one size, samples of all groups in turn are distributed as the data. Deterministic.
    """
    if dataset.num_classes:
        raise DataError(
            f"{dataset.name} has classes, so --data.groups would have no effect: drop it, or set --data.conditional "
            "false"
        )
    if count > len(dataset) // 2:
        raise DataError(f"{len(dataset)} samples make no {count} groups: set --data.groups to {len(dataset) // 2}")
    random = torch.Generator().manual_seed(0)
    order = torch.randperm(len(dataset), generator=random)
    centres, nearer = _centres(_features(dataset, order[:_LOOKED_AT]), count, random)
    dataset.classes = torch.cat(
        [
            (nearer - torch.cdist(_features(dataset, chunk), centres).square()).argmax(1)
            for chunk in torch.arange(len(dataset)).split(_CHUNK)
        ]
    )
    dataset.class_names = [f"group {number}" for number in range(1, count + 1)]
    dataset.notes.append(f"no labels are used: {count} groups of alike samples stand in for classes")


def _features(dataset: Dataset, indices: torch.Tensor) -> torch.Tensor:
    """Samples (B,) made small and flat, (B, K)."""
    shape = dataset.sample_shape[1:]
    sizes = tuple(min(size, _SIDES[len(shape)]) for size in shape)
    pool = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d, 3: nn.AdaptiveAvgPool3d}[len(shape)](sizes)
    return torch.cat([pool(dataset.batch(chunk)[0]).flatten(1) for chunk in indices.split(_CHUNK)])


def _centres(features: torch.Tensor, count: int, random: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """The groups' means (count, K), and how much nearer each must count so that all are of one size, (count,)."""
    centres = features[torch.randint(len(features), (1,), generator=random)]
    while len(centres) < count:  # k-means++ (Arthur & Vassilvitskii 2007)
        far = torch.cdist(features, centres).amin(1).square()
        centres = torch.cat([centres, features[torch.multinomial(far + 1e-12, 1, generator=random)]])
    nearer = torch.zeros(count)
    for _ in range(_ROUNDS):
        distances = torch.cdist(features, centres).square()
        unit = distances.mean().clamp_min(1e-12) * _SOFTNESS
        nearer = torch.zeros(count)
        for _ in range(_BALANCING):
            shares = ((nearer - distances) / unit).softmax(1).mean(0)
            nearer = nearer - unit * (shares * count).clamp_min(1e-6).log()
        chosen = F.one_hot((nearer - distances).argmax(1), count).float()  # (N, count)
        centres = chosen.T @ features / chosen.sum(0).clamp_min(1)[:, None]
    return centres, nearer
