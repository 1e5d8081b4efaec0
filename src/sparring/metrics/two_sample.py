"""The classifier two-sample test."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.data.dataset import DataError
from sparring.metrics.canonical import canonical

FEWEST = 100
"""The fewest samples for the test; half of them test the classifier, so that fewer give a random accuracy."""

WIDTH, STEPS, BATCH, LR, WEIGHT_DECAY = 128, 1000, 128, 2e-3, 1e-2


# Lopez-Paz & Oquab 2017, section 3
def classifier_two_sample(features: Tensor, reference: Tensor, *, seed: int = 0) -> float:
    """The test accuracy, 0.5 to 1, of a small network that classifies features (N, D) of samples and (M, D) of data;
    0.5 is best. Half of each set is for training, the other half for the test. The order of rows has no effect.
    Non-finite features score 1.0."""
    if not features.isfinite().all():
        return 1.0
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        count = min(len(features), len(reference))
        half = count // 2
        if half < 2:
            raise ValueError("a two-sample test needs four generated and four real samples")
        kinds = [kind[canonical(kind)][torch.randperm(len(kind))[:count]].float() for kind in (features, reference)]
        train, test = (torch.cat([k[part] for k in kinds]) for part in (slice(half), slice(half, 2 * half)))
        labels = torch.arange(2).repeat_interleave(half).float()
        mean, std = train.mean(0), train.std(0).clamp_min(1e-6)
        train, test = (train - mean) / std, (test - mean) / std
        first, second, last = nn.Linear(train.shape[1], WIDTH), nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 1)
        model = nn.Sequential(
            first, nn.SiLU(), nn.Dropout(0.2), second, nn.SiLU(), nn.Dropout(0.2), last, nn.Flatten(0)
        )
        optimizer = torch.optim.AdamW(model.parameters(), LR, weight_decay=WEIGHT_DECAY)
        for _ in range(STEPS):
            chosen = torch.randint(len(train), (BATCH,))
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(train[chosen]), labels[chosen]).backward()
            optimizer.step()
        with torch.no_grad():
            accuracy = ((model.eval()(test) > 0) == (labels > 0)).float().mean().item()
    return max(0.5, accuracy)


def without_few(metrics: Sequence[str], count: int, *, named: bool) -> tuple[str, ...]:
    """The metrics, without `c2st` if `count` samples are too few for it; then raises `DataError` if they were
    `named` by the user."""
    if "c2st" in metrics and named:
        check_enough(count)
    return tuple(name for name in metrics if name != "c2st" or count >= FEWEST)


def check_enough(count: int) -> None:
    if count < FEWEST:
        raise DataError(f"c2st needs {FEWEST} generated and {FEWEST} real samples, not {count}")
