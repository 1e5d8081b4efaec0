"""I3D, FVD's network, from a PyTorch file of its Kinetics-400 weights with A. Piergiovanni's names."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = 400
SIDE = 224
FEWEST_FRAMES = 9
"""The time axis is halved three times and must keep two steps."""

AT_ONCE = 8  # clips; a layer takes 25 MB for one of 16 frames

# The channels of each branch: 1×1×1; 1×1×1 and 3×3×3; 1×1×1 and 3×3×3; pool and 1×1×1 (Szegedy et al. 2015, table 1)
_MIXED = {
    "3b": (64, 96, 128, 16, 32, 32),
    "3c": (128, 128, 192, 32, 96, 64),
    "4b": (192, 96, 208, 16, 48, 64),
    "4c": (160, 112, 224, 24, 64, 64),
    "4d": (128, 128, 256, 24, 64, 64),
    "4e": (112, 144, 288, 32, 64, 64),
    "4f": (256, 160, 320, 32, 128, 128),
    "5b": (256, 160, 320, 32, 128, 128),
    "5c": (384, 192, 384, 48, 128, 128),
}
# The pool before a layer: kernel and stride over (T, H, W)
_POOLED = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}

_Sizes = tuple[int, int, int]


def _padded(x: Tensor, kernel: _Sizes, stride: _Sizes) -> Tensor:
    """TensorFlow's "same" padding: an axis of n becomes ceil(n / stride); an odd element is added at the end."""
    padding: list[int] = []
    for n, k, s in zip(reversed(x.shape[2:]), reversed(kernel), reversed(stride), strict=True):
        total = max(0, (-(-n // s) - 1) * s + k - n)
        padding += [total // 2, total - total // 2]
    return F.pad(x, padding)


def _pool(x: Tensor, kernel: _Sizes, stride: _Sizes) -> Tensor:
    return F.max_pool3d(_padded(x, kernel, stride), kernel, stride)


class _Unit(nn.Module):
    """A convolution, batch normalization and ReLU."""

    def __init__(self, inputs: int, outputs: int, side: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = (side, side, side), (stride, stride, stride)
        self.conv3d = nn.Conv3d(inputs, outputs, self.kernel, self.stride, bias=False)
        self.bn = nn.BatchNorm3d(outputs, eps=1e-3)  # as in the original; some PyTorch ports use 1e-5

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv3d(_padded(x, self.kernel, self.stride))))


class _Mixed(nn.Module):
    def __init__(self, inputs: int, b0: int, b1a: int, b1b: int, b2a: int, b2b: int, b3b: int) -> None:
        super().__init__()
        self.b0 = _Unit(inputs, b0)
        self.b1a, self.b1b = _Unit(inputs, b1a), _Unit(b1a, b1b, 3)
        self.b2a, self.b2b = _Unit(inputs, b2a), _Unit(b2a, b2b, 3)
        self.b3b = _Unit(inputs, b3b)

    def forward(self, x: Tensor) -> Tensor:
        pooled = _pool(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], 1)


class _Logits(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(1024, CLASSES, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3d(F.avg_pool3d(x, (2, 7, 7), 1)).mean((2, 3, 4))


# Carreira & Zisserman 2017, figure 3
class I3D(nn.Module):
    """Clips (B, 3, T, H, W) in [0, 1], T at least 9, to logits (B, 400), which FVD compares (Unterthiner et al.
    2018)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict(
            {"Conv3d_1a_7x7": _Unit(3, 64, 7, 2), "Conv3d_2b_1x1": _Unit(64, 64), "Conv3d_2c_3x3": _Unit(64, 192, 3)}
        )
        inputs = 192
        for name, channels in _MIXED.items():
            self.layers[f"Mixed_{name}"] = _Mixed(inputs, *channels)
            inputs = channels[0] + channels[2] + channels[4] + channels[5]
        self.logits = _Logits()
        self.eval().requires_grad_(False)

    @classmethod
    def published(cls, stored: Any) -> "I3D":
        """Builds the network from published weights; raises some `Exception` for other files."""
        model = cls()
        model.load_state_dict({k if k.startswith("logits.") else f"layers.{k}": v for k, v in stored.items()})
        return model

    def forward(self, clips: Tensor) -> Tensor:
        return torch.cat([self._logits(part) for part in clips.split(AT_ONCE)])

    def _logits(self, clips: Tensor) -> Tensor:
        x = F.interpolate(clips.flatten(1, 2), (SIDE, SIDE), mode="bilinear").unflatten(1, (3, -1)) * 2 - 1
        for name, layer in self.layers.items():
            if name in _POOLED:
                x = _pool(x, *_POOLED[name])
            x = layer(x)
        return self.logits(x)
