"""Conversion between grey, grey with alpha, RGB and RGBA."""

import torch
from torch import Tensor


def convert_channels(values: Tensor, channels: int) -> Tensor:
    """Converts images or clips (N, 1 to 4, ...) to 1 to 4 channels; grey follows ITU-R BT.601, alpha is opaque."""
    if values.shape[1] == channels:
        return values
    colour = values[:, :3] if values.shape[1] > 2 else values[:, :1].expand(-1, 3, *values.shape[2:])
    if channels < 3:
        colour = torch.einsum("nc...,c->n...", colour, torch.tensor([0.299, 0.587, 0.114]))[:, None]
    opaque = torch.ones_like(colour[:, : 1 - channels % 2])
    return torch.cat([colour, opaque], 1)
