"""The default feature extractor for clips: 3-D convolutions with fixed random weights, and mean colours.

The convolutions respond to edges and their motion at three scales. The mean colours of the parts of a frame tell an
image from its negative, which the convolutions do not. The network is untrained and is not I3D: distances in its
features are comparable only with each other.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

NAME = "sparring-clips (shades and untrained 3-D convolutions, seed 0)"
CHANNELS = (16, 16, 16)
SIDE = 32
SHADES = 4
"""The number of parts along each side whose mean colour is a feature."""


# Ustyuzhaninov et al. 2017: random convolutions represent textures about as well as trained ones
class ClipFeatures(nn.Module):
    """Clips (B, C, T, H, W) in [-1, 1] to features (B, 48 + 16 C): the mean activation of each channel of each layer,
    and the mean colours of 16 parts, scaled to about the same total weight."""

    def __init__(self, channels: int, frames: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        inputs, time = channels, min(3, frames)
        self.weights = nn.ParameterList()
        for outputs in CHANNELS:
            weight = torch.randn(outputs, inputs, time, 3, 3, generator=generator)
            weight = weight - weight.mean((2, 3, 4), keepdim=True)  # no response to a constant colour
            self.weights.append(weight / math.sqrt(inputs * time * 9 / 2))
            inputs = outputs
        self.time = time
        self.requires_grad_(False)

    def forward(self, clips: Tensor) -> Tensor:
        frames = clips.shape[2]
        x = F.interpolate(clips.flatten(1, 2), (SIDE, SIDE), mode="bilinear", antialias=True).unflatten(1, (-1, frames))
        shades = F.adaptive_avg_pool2d(x.mean(2), SHADES)
        features = [shades.flatten(1) / SHADES]
        for weight in self.weights:
            x = F.conv3d(F.pad(x, (1, 1, 1, 1)), weight, stride=(1, 2, 2)).abs()
            features.append(x.mean((2, 3, 4)))
            if x.shape[2] < self.time:  # too few frames for the next kernel
                x = x.mean(2, keepdim=True).expand(-1, -1, self.time, -1, -1)
        return torch.cat(features, 1)
