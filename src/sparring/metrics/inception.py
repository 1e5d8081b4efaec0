"""FID's network: Inception v3 of TensorFlow's release of 2015-12-05, with its weights.

It differs from Szegedy et al. 2016: it has 1,008 logits, its average pools do not count padding, and its last block has
a max pool. Heusel et al. 2017 use its features, Salimans et al. 2016 its logits, without bias.
"""

import hashlib
from collections import OrderedDict
from http.client import HTTPException
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.data.dataset import DataError

SIDE = 299
FEATURES, LOGITS = 2048, 1008
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
"""The checksum of the weights file that pytorch-fid and torch-fidelity publish."""

_FILE = f"pt_inception-2015-12-05-{SHA256[:8]}.pth"
_URL = f"https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/{_FILE}"
# A branch's convolutions: output channels and kernel, or two kernels whose outputs are concatenated.
_Layers = tuple[tuple[int, str], ...]


def published_weights() -> Path:
    """The weights file in torch's cache, downloaded if necessary; raises `DataError` if the download fails."""
    file = Path(torch.hub.get_dir()) / "checkpoints" / _FILE
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(_URL, str(file), SHA256)
        except (OSError, RuntimeError, HTTPException) as error:
            raise DataError(
                f"Inception's weights cannot be downloaded from {_URL} ({error}): fetch that file elsewhere and "
                "write inception:FILE"
            ) from error
    return file


def check_weights(file: Path) -> None:
    """Raises `DataError` for any file but the published one, as FID needs exactly those weights."""
    try:
        with open(file, "rb") as handle:
            found = hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        raise DataError(f"there is no weights file {file}: write inception, or inception:FILE with {_FILE}") from None
    if found != SHA256:
        raise DataError(
            f"{file} is not FID's Inception, its SHA-256 begins with {found[:8]}, not {SHA256[:8]}: replace it by "
            f"{_URL}"
        )


def resize(images: Tensor, side: int) -> Tensor:
    """Resizes images (B, C, H, W) to (B, C, side, side) as TensorFlow 1: bilinear, with the centres of the first pixels
    aligned and without antialiasing."""
    for dim in (3, 2):
        size = images.shape[dim]
        position = torch.arange(side, device=images.device) * (size / side)
        before = position.long()
        weight = (position - before).view(-1, *[1] * (3 - dim))
        here = images.index_select(dim, before)
        after = images.index_select(dim, (before + 1).clamp(max=size - 1))
        images = here + (after - here) * weight
    return images


class _Conv(nn.Module):
    def __init__(self, inputs: int, outputs: int, kernel: str, stride: int = 1, *, padded: bool = True) -> None:
        super().__init__()
        height, width = (int(side) for side in kernel.split("x"))
        padding = (height // 2, width // 2) if padded else 0
        self.conv = nn.Conv2d(inputs, outputs, (height, width), stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Parallel branches whose channels are concatenated. The layers have the names of the weights file."""

    def __init__(self, inputs: int, pool: str, branches: dict[str, _Layers]) -> None:
        super().__init__()
        self.pool, self.names = pool, dict[str, list[list[str]]]()
        for branch, layers in branches.items():
            channels, self.names[branch] = inputs, []
            for number, (outputs, kernels) in enumerate(layers, 1):
                stem = f"branch{branch}" + (f"_{number}" if len(layers) > 1 else "")
                sides = kernels.split("+")
                names = [stem + letter for letter in ("ab" if len(sides) > 1 else ("",))]
                halves = pool == "halving" and number == len(layers)
                for name, kernel in zip(names, sides, strict=True):
                    self.add_module(name, _Conv(channels, outputs, kernel, 2 if halves else 1, padded=not halves))
                self.names[branch].append(names)
                channels = outputs

    def forward(self, x: Tensor) -> Tensor:
        if self.pool == "mean":
            pooled = F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        elif self.pool == "maximum":
            pooled = F.max_pool2d(x, 3, 1, 1)
        else:
            pooled = F.max_pool2d(x, 3, 2)
        joined = []
        for branch, layers in self.names.items():
            y = pooled if branch == "_pool" else x
            for names in layers:
                y = torch.cat([self.get_submodule(name)(y) for name in names], 1)
            joined.append(y)
        return torch.cat([*joined, pooled] if self.pool == "halving" else joined, 1)


def _block_a(inputs: int, pooled: int) -> _Mixed:
    branches: dict[str, _Layers] = {
        "1x1": ((64, "1x1"),),
        "5x5": ((48, "1x1"), (64, "5x5")),
        "3x3dbl": ((64, "1x1"), (96, "3x3"), (96, "3x3")),
        "_pool": ((pooled, "1x1"),),
    }
    return _Mixed(inputs, "mean", branches)


def _block_b(inputs: int) -> _Mixed:
    return _Mixed(inputs, "halving", {"3x3": ((384, "3x3"),), "3x3dbl": ((64, "1x1"), (96, "3x3"), (96, "3x3"))})


def _block_c(inputs: int, width: int) -> _Mixed:
    branches: dict[str, _Layers] = {
        "1x1": ((192, "1x1"),),
        "7x7": ((width, "1x1"), (width, "1x7"), (192, "7x1")),
        "7x7dbl": ((width, "1x1"), (width, "7x1"), (width, "1x7"), (width, "7x1"), (192, "1x7")),
        "_pool": ((192, "1x1"),),
    }
    return _Mixed(inputs, "mean", branches)


def _block_d(inputs: int) -> _Mixed:
    branches: dict[str, _Layers] = {
        "3x3": ((192, "1x1"), (320, "3x3")),
        "7x7x3": ((192, "1x1"), (192, "1x7"), (192, "7x1"), (192, "3x3")),
    }
    return _Mixed(inputs, "halving", branches)


def _block_e(inputs: int, pool: str) -> _Mixed:
    branches: dict[str, _Layers] = {
        "1x1": ((320, "1x1"),),
        "3x3": ((384, "1x1"), (384, "1x3+3x1")),
        "3x3dbl": ((448, "1x1"), (384, "3x3"), (384, "1x3+3x1")),
        "_pool": ((192, "1x1"),),
    }
    return _Mixed(inputs, pool, branches)


# Szegedy et al. 2016, table 1 and figures 5 to 7
class Inception(nn.Module):
    """Images (B, 3, H, W) in [0, 1], rounded to 256 levels, to features (B, 2048) and logits (B, 1008) without bias."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            OrderedDict(
                Conv2d_1a_3x3=_Conv(3, 32, "3x3", 2, padded=False),
                Conv2d_2a_3x3=_Conv(32, 32, "3x3", padded=False),
                Conv2d_2b_3x3=_Conv(32, 64, "3x3"),
                pool_1=nn.MaxPool2d(3, 2),
                Conv2d_3b_1x1=_Conv(64, 80, "1x1"),
                Conv2d_4a_3x3=_Conv(80, 192, "3x3", padded=False),
                pool_2=nn.MaxPool2d(3, 2),
                Mixed_5b=_block_a(192, 32),
                Mixed_5c=_block_a(256, 64),
                Mixed_5d=_block_a(288, 64),
                Mixed_6a=_block_b(288),
                Mixed_6b=_block_c(768, 128),
                Mixed_6c=_block_c(768, 160),
                Mixed_6d=_block_c(768, 160),
                Mixed_6e=_block_c(768, 192),
                Mixed_7a=_block_d(768),
                Mixed_7b=_block_e(1280, "mean"),
                Mixed_7c=_block_e(2048, "maximum"),
            )
        )
        self.fc = nn.Linear(FEATURES, LOGITS)
        self.eval().requires_grad_(False)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # quicker on CPUs

    @classmethod
    def published(cls, stored: Any) -> "Inception":
        """Builds the network from published weights; raises some `Exception` for other files."""
        model = cls()
        model.load_state_dict({k if k.startswith("fc.") else f"layers.{k}": v for k, v in stored.items()})
        return model

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = (resize((x * 255).round(), SIDE) - 128) / 128
        features = self.layers(x).mean((2, 3))
        return features, features @ self.fc.weight.T
