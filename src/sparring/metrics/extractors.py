"""Feature extractors for pictures, by name. A distance in the features of one says nothing of another's.

digits                   the digit classifier that ships with the package (28×28 grey)
untrained                convolutions with fixed random weights: shading and edges of any picture
cifar10-resnet:FILE      a CIFAR-10 ResNet-20 to -110 of Y. Idelbayev (BSD), from its weights file
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.data.dataset import DataError
from sparring.metrics.clip_features import ClipFeatures
from sparring.metrics.digit_classifier import load_digit_classifier

BATCH = 250
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_STAGE = re.compile(r"^layer([123])\.")


@dataclass(frozen=True)
class Extractor:
    """Pictures (B, C, H, W) in [-1, 1] to features (B, D) and class logits (B, K), or None where it has no classes."""

    name: str
    look: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    resized: str
    """How pictures are brought to its size."""
    classes: tuple[str, ...] = ()

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of any number of pictures, always in the same batches: a result does not depend on how many there are."""
        parts = [self.look(chunk.float().cpu().clamp(-1, 1)) for chunk in pictures.split(BATCH)]
        logits = [found for _, found in parts if found is not None]
        return torch.cat([features for features, _ in parts]), torch.cat(logits) if logits else None


def make_extractor(name: str, sample_shape: tuple[int, ...]) -> Extractor:
    """Raises `DataError` for what is not there or does not go with pictures of this shape."""
    kind, _, file = name.partition(":")
    if kind == "digits":
        if sample_shape != (1, 28, 28):
            raise DataError(f"the extractor digits looks at 28×28 grey pictures, not {sample_shape}: try untrained")
        return Extractor("sparring-digits (not Inception)", load_digit_classifier(), "not resized", tuple("0123456789"))
    if kind == "untrained":
        model = ClipFeatures(sample_shape[0], 1)
        return Extractor(
            "untrained convolutions, seed 0 (not Inception)",
            lambda x: (model(x[:, :, None]), None),
            "bilinear to 32×32",
        )
    if kind == "cifar10-resnet":
        resnet = CifarResNet.load(Path(file))
        return Extractor(f"CIFAR-10 ResNet {Path(file).name} (not Inception)", resnet, "bilinear to 32×32", CIFAR)
    raise DataError(f"there is no extractor {name}: choose digits, untrained or cifar10-resnet:FILE")


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
    """Pictures (B, C, H, W) in [-1, 1], transparent ones laid on black, to features (B, 64) and logits (B, 10)."""

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
    def load(cls, file: Path) -> "CifarResNet":
        try:
            stored = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
            stored = {_STAGE.sub(_renamed, name.removeprefix("module.")): value for name, value in stored.items()}
            model = cls(len({name.split(".")[2] for name in stored if name.startswith("stages.0.")}))
            model.load_state_dict(stored)
        except FileNotFoundError:
            raise DataError(f"there is no weights file {file}: write cifar10-resnet:FILE") from None
        except Exception as error:  # whatever an unpickler makes of a file that is something else
            raise DataError(f"{file} holds no CIFAR-10 ResNet's weights: {error}") from error
        return model

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        x = (pictures + 1) / 2
        if x.shape[1] in (2, 4):
            x = x[:, :-1] * x[:, -1:]
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        if x.shape[2:] != (32, 32):
            x = F.interpolate(x, (32, 32), mode="bilinear", antialias=True)
        x = (x - torch.tensor(_MEAN)[:, None, None]) / torch.tensor(_STD)[:, None, None]
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in self.stages:
            x = stage(x)
        features = x.mean((2, 3))
        return features, self.linear(features)
