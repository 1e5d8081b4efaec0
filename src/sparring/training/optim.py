"""Optimisers, and schedules in samples."""

import math

import torch
from torch import nn

from sparring.config import OptimConfig

FINAL_LR = 0.02  # final factor of a cosine decay
ROLLBACK_LR = 0.5  # factor on the learning rates after each rollback


def make_optimizer(model: nn.Module, lr: float, config: OptimConfig) -> torch.optim.Adam:
    """Adam with beta1 = 0: momentum makes the two networks oscillate."""
    return torch.optim.Adam(model.parameters(), lr, betas=(0.0, config.beta2), eps=1e-8, fused=True)


def lr_factor(config: OptimConfig, samples_seen: int, num_samples: int) -> float:
    """The factor on the learning rates: linear warm-up, then cosine decay to `FINAL_LR`."""
    warmup = min(1.0, (samples_seen + 1) / config.warmup) if config.warmup else 1.0
    if config.decay == "constant":
        return warmup
    progress = min(1.0, samples_seen / num_samples)
    cosine = 0.5 * (1 + math.cos(math.pi * progress))
    return warmup * (FINAL_LR + (1 - FINAL_LR) * cosine)


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = lr
