"""EfficientNet-lite0, a classifier of ImageNet's 1,000 classes, from the weights file of its PyTorch port."""

import re
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 224

_STAGES = (  # expansion, channels, blocks, stride, kernel
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_STEM, _HEAD, _CLASSES = 32, 1280, 1000
_PRIVATE = re.compile(r"(^|\.)_")


class _Conv(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding: an odd pixel is added at the right and at the bottom."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        margin = kernel - stride  # for sides that the stride divides, as here
        super().__init__(inputs, outputs, kernel, stride, margin // 2, groups=groups, bias=False)
        self.odd = margin % 2

    def forward(self, x: Tensor) -> Tensor:
        if not self.odd:
            return super().forward(x)
        return super().forward(F.pad(x, (0, 1, 0, 1)))


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


# Sandler et al. 2018, section 3
class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        width = inputs * expansion
        self.expands, self.skips = expansion > 1, stride == 1 and inputs == outputs
        if self.expands:
            self.expand_conv, self.bn0 = _Conv(inputs, width), _norm(width)
        self.depthwise_conv, self.bn1 = _Conv(width, width, kernel, stride, groups=width), _norm(width)
        self.project_conv, self.bn2 = _Conv(width, outputs), _norm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self.bn0(self.expand_conv(x))) if self.expands else x
        wide = F.relu6(self.bn1(self.depthwise_conv(wide)))
        narrow = self.bn2(self.project_conv(wide))
        return x + narrow if self.skips else narrow


# Tan & Le 2019, table 1; lite: ReLU6 for swish, no squeeze-and-excitation
class EfficientNet(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to features (B, 1280) and logits (B, 1000)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem, self.bn0 = _Conv(3, _STEM, 3, 2), _norm(_STEM)
        self.blocks, inputs = nn.ModuleList(), _STEM
        for expansion, outputs, count, stride, kernel in _STAGES:
            for number in range(count):
                self.blocks.append(_Block(inputs, outputs, expansion, 1 if number else stride, kernel))
                inputs = outputs
        self.conv_head, self.bn1 = _Conv(inputs, _HEAD), _norm(_HEAD)
        self.fc = nn.Linear(_HEAD, _CLASSES)
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # quicker on CPUs

    @classmethod
    def published(cls, stored: Any) -> "EfficientNet":
        """Builds the network from published weights; raises some `Exception` for other files."""
        model = cls()
        model.load_state_dict({_PRIVATE.sub(r"\1", name): value for name, value in stored.items()})
        return model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[2:] != (SIDE, SIDE):
            x = F.interpolate(x, (SIDE, SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        x = (x * 255 - 127) / 128
        x = F.relu6(self.bn0(self.conv_stem(x)))
        for block in self.blocks:
            x = block(x)
        features = F.relu6(self.bn1(self.conv_head(x))).mean((2, 3))
        return features, self.fc(features)
