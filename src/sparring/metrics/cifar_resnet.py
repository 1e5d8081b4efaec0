"""The residual networks of any depth that Y. Idelbayev trained on CIFAR-10 (BSD), from their weights files."""

import re
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""ImageNet's mean and standard deviation for each channel; Idelbayev used them for CIFAR-10 too."""

_STAGE = re.compile(r"^layer([123])\.")


def _renamed(layer: re.Match[str]) -> str:
    return f"stages.{int(layer[1]) - 1}."


# He et al. 2016, section 4.2, with the shortcut that pads channels (option A)
class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        x = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(x + shortcut)


class CifarResNet(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to features (B, 64) and logits (B, 10)."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        self.stages = nn.ModuleList(
            nn.Sequential(_Block(inputs, outputs, stride), *(_Block(outputs, outputs, 1) for _ in range(depth - 1)))
            for inputs, outputs, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.linear = nn.Linear(64, 10)
        self.eval().requires_grad_(False)

    @classmethod
    def published(cls, stored: Any) -> "CifarResNet":
        """Builds the network from published weights; raises some `Exception` for other files."""
        stored = {_STAGE.sub(_renamed, k.removeprefix("module.")): v for k, v in stored["state_dict"].items()}
        model = cls(len({name.split(".")[2] for name in stored if name.startswith("stages.0.")}))
        model.load_state_dict(stored)
        return model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        if x.shape[2:] != (SIDE, SIDE):
            x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
        x = F.relu(self.bn1(self.conv1(standardized(x))))
        for stage in self.stages:
            x = stage(x)
        features = x.mean((2, 3))
        return features, self.linear(features)


def standardized(images: Tensor) -> Tensor:
    """Standardizes images (B, 3, H, W) in [0, 1] with ImageNet's mean and standard deviation."""
    mean, std = (images.new_tensor(numbers)[:, None, None] for numbers in (MEAN, STD))
    return (images - mean) / std
