"""The classifier two-sample test: can samples be told from data at all?"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.data.dataset import DataError
from sparring.metrics.canonical import canonical

FEWEST = 100
"""Samples that a classifier learns to tell from data: half of them are judged, so of 20 any share may come out."""

WIDTH, STEPS, BATCH, LR, WEIGHT_DECAY = 128, 1000, 128, 2e-3, 1e-2


# Lopez-Paz & Oquab 2017, section 3
def classifier_two_sample(features: Tensor, reference: Tensor, *, seed: int = 0) -> float:
    """The accuracy, 0.5 to 1, with which a small network tells features (N, D) of samples from those (M, D) of data
    that it has not seen: half of each is learnt from, the other half judged. 0.5 is perfect.
    The rows' order plays no part; numbers that are not finite are told at a glance."""
    if not features.isfinite().all():
        return 1.0
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        count = min(len(features), len(reference))
        half = count // 2
        if half < 2:
            raise ValueError("a two-sample test needs four samples and as many real ones")
        kinds = [kind[canonical(kind)][torch.randperm(len(kind))[:count]].float() for kind in (features, reference)]
        learnt, judged = (torch.cat([k[part] for k in kinds]) for part in (slice(half), slice(half, 2 * half)))
        labels = torch.arange(2).repeat_interleave(half).float()
        mean, std = learnt.mean(0), learnt.std(0).clamp_min(1e-6)
        learnt, judged = (learnt - mean) / std, (judged - mean) / std
        first, second, last = nn.Linear(learnt.shape[1], WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        model = nn.Sequential(
            first, nn.SiLU(), nn.Dropout(0.2), second, nn.SiLU(), nn.Dropout(0.2), last, nn.Flatten(0)
        )
        optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=WEIGHT_DECAY)
        for _ in range(STEPS):
            chosen = torch.randint(len(learnt), (BATCH,))
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(learnt[chosen]), labels[chosen]).backward()
            optimizer.step()
        with torch.no_grad():
            right = ((model.eval()(judged) > 0) == (labels > 0)).float().mean().item()
    return max(0.5, right)


def without_few(metrics: Sequence[str], count: int, *, named: bool) -> tuple[str, ...]:
    """The metrics without `c2st` where the `count` of samples is too few for it; raises `DataError` where it was
    `named`."""
    if "c2st" in metrics and named:
        check_enough(count)
    return tuple(name for name in metrics if name != "c2st" or count >= FEWEST)


def check_enough(count: int) -> None:
    if count < FEWEST:
        raise DataError(f"c2st needs {FEWEST} samples and as many real ones to say something, not {count}")
