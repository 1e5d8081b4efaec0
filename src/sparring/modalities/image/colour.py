"""Pixels with other channels than they came with."""

import torch
from torch import Tensor


def coloured(values: Tensor, channels: int) -> Tensor:
    """Pictures or clips (N, 1 to 4, ...) as grey, grey and alpha, RGB or RGBA; greys by the weights of ITU-R BT.601."""
    if values.shape[1] == channels:
        return values
    colour = values[:, :3] if values.shape[1] > 2 else values[:, :1].expand(-1, 3, *values.shape[2:])
    if channels < 3:
        colour = torch.einsum("nc...,c->n...", colour, torch.tensor([0.299, 0.587, 0.114]))[:, None]
    opaque = torch.ones_like(colour[:, : 1 - channels % 2])
    return torch.cat([colour, opaque], 1)
