"""Feature extractors for images, by name. Distances in the features of different extractors are not comparable.

digits                   the digit classifier that ships with the package (28×28 grey)
untrained                mean colours and convolutions with fixed random weights, for any images
inception                FID's network, its weights downloaded once; inception:FILE for a file of them
dinov2:NAME_OR_FOLDER    a DINOv2 from the Hugging Face hub or from a folder (extra: dinov2)
efficientnet-lite0:FILE  a small classifier of ImageNet, from its weights file
cifar10-resnet:FILE      a CIFAR-10 ResNet-20 to -110 of Y. Idelbayev (BSD), from its weights file
"""

import pickle
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.data.dataset import DataError, digest
from sparring.metrics.cifar_resnet import CLASSES, CifarResNet, standardized
from sparring.metrics.clip_features import SHADES, ClipFeatures
from sparring.metrics.digit_classifier import load_digit_classifier
from sparring.metrics.efficientnet import EfficientNet
from sparring.metrics.inception import Inception, check_weights, published_weights

BATCH = 250
NAMES = (
    "digits",
    "untrained",
    "inception",
    "inception:FILE",
    "dinov2:NAME_OR_FOLDER",
    "efficientnet-lite0:FILE",
    "cifar10-resnet:FILE",
)

_LARGE_BATCH = 50  # for networks that enlarge the images
_SIDE = 224  # DINOv2's input


@dataclass(frozen=True)
class Extractor:
    """Images (B, C, H, W) in [-1, 1] to features (B, D) and class logits (B, K), or None without classes."""

    name: str
    forward: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    resized: str
    """How images are resized, in words."""
    key: str
    """Identifies the extractor and its weights: equal keys give equal features."""
    classes: tuple[str, ...] = ()
    fid: bool = False
    """Whether the Fréchet distance of its features is FID."""
    batch: int = BATCH
    classifies: bool = False
    """Whether it returns logits; `classes` may be empty if their names are unknown."""
    quick: bool = True
    """Whether it embeds thousands of images in seconds."""
    device: torch.device | str = "cpu"
    """The device of the network; features and logits are returned on the CPU."""

    @torch.no_grad()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        """Embeds any number of images, batch by batch."""
        parts = [self.forward(chunk.to(self.device, torch.float32).clamp(-1, 1)) for chunk in images.split(self.batch)]
        logits = [found.cpu() for _, found in parts if found is not None]
        return torch.cat([features.cpu() for features, _ in parts]), torch.cat(logits) if logits else None


def make_extractor(name: str, sample_shape: tuple[int, ...], device: torch.device | str = "cpu") -> Extractor:
    """Raises `DataError` if the extractor does not exist or does not fit the shape."""
    device = torch.device(device)
    kind, colon, where = name.partition(":")
    if colon and kind in ("digits", "untrained"):
        raise DataError(f"the extractor {kind} takes no file: write --extractor {kind}")
    if kind == "digits":
        if sample_shape != (1, 28, 28):
            raise DataError(f"the extractor digits takes grey pictures of 28×28, not {sample_shape}: try untrained")
        digits, resized = load_digit_classifier(), "not resized"
        key = _key(kind, resized, digits, device)
        return Extractor(
            "sparring-digits (not Inception)", digits.to(device), resized, key, tuple("0123456789"), classifies=True,
            device=device,
        )  # fmt: skip
    if kind == "untrained":
        clips, resized = ClipFeatures(sample_shape[0], 1), "bilinear to 32×32"
        key = _key(f"{kind}, {SHADES} shades", resized, clips, device)
        clips.to(device)
        return Extractor(
            "shades and untrained convolutions, seed 0 (not Inception)",
            lambda x: (clips(x[:, :, None]), None),
            resized,
            key,
            device=device,
        )
    network: nn.Module
    if kind == "inception":
        file = Path(where) if where else published_weights()
        check_weights(file)
        title, resized = "Inception v3 of 2015-12-05, FID's", "bilinear to 299×299 as in TensorFlow 1, not antialiased"
        network = read_weights(kind, str(file), "FID's Inception", Inception.published)
    elif kind == "dinov2":
        title, resized = f"DINOv2 {Path(where).name} (not Inception)", "bicubic to 224×224"
        network = _Dinov2(where)
    elif kind == "efficientnet-lite0":
        title, resized = f"EfficientNet-lite0 {Path(where).name} (not Inception)", "bicubic to 224×224"
        network = read_weights(kind, where, "EfficientNet-lite0", EfficientNet.published)
    elif kind == "cifar10-resnet":
        title, resized = f"CIFAR-10 ResNet {Path(where).name} (not Inception)", "bilinear to 32×32"
        network = read_weights(kind, where, "CIFAR-10 ResNet", CifarResNet.published)
    else:
        raise DataError(f"there is no extractor {name}: choose {', '.join(NAMES[:-1])} or {NAMES[-1]}")
    key = _key(kind, resized, network, device)
    network.to(device)
    return Extractor(
        title,
        lambda x: network(rgb(x)),
        resized,
        key,
        CLASSES if kind == "cifar10-resnet" else (),
        fid=kind == "inception",
        batch=BATCH if kind == "cifar10-resnet" else _LARGE_BATCH,
        classifies=kind != "dinov2",
        quick=kind == "cifar10-resnet" or device.type != "cpu",
        device=device,
    )


def rgb(images: Tensor) -> Tensor:
    """Converts images (B, C, H, W) or clips (B, C, T, H, W) with 1 to 4 channels in [-1, 1] to RGB in [0, 1], on
    black."""
    x = (images + 1) / 2
    if x.shape[1] in (2, 4):
        x = x[:, :-1] * x[:, -1:]
    return x.expand(-1, 3, *x.shape[2:]) if x.shape[1] == 1 else x


def _key(kind: str, resized: str, network: nn.Module, device: torch.device) -> str:
    """The key of a network that is still on the CPU; each type of device rounds differently."""
    return f"{kind}-{digest(resized, device.type, *chain.from_iterable(network.state_dict().items()))}"


def read_weights(kind: str, file: str, holds: str, build: Callable[[Any], nn.Module]) -> nn.Module:
    """Applies `build` to the weights in a file; raises `DataError` if that fails."""
    if not file:
        raise DataError(f"the extractor {kind} needs a weights file: write {kind}:FILE")
    try:
        return build(torch.load(file, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise DataError(f"there is no weights file {file}: write {kind}:FILE") from None
    except pickle.UnpicklingError:  # PyTorch's own message advises to let the file run code
        raise DataError(f"{file} does not hold the weights of {holds}: it holds more than tensors") from None
    except KeyError as error:  # a missing tensor, or a text file
        raise DataError(f"{file} does not hold the weights of {holds}") from error
    except Exception as error:  # the unpickler raises any exception for other files
        raise DataError(f"{file} does not hold the weights of {holds}: {_short(error)}") from error


def _short(error: Exception) -> str:
    return textwrap.shorten(str(error), 300, placeholder=" ...")


# Oquab et al. 2023; resized as by Stein et al. 2023, whose Fréchet distance uses the same features
class _Dinov2(nn.Module):
    """Images (B, 3, H, W) in [0, 1] to features (B, D), the class token after the last normalization; no logits."""

    def __init__(self, name: str) -> None:
        super().__init__()
        if not name:
            raise DataError("write dinov2:facebook/dinov2-small, another DINOv2's name on the hub, or dinov2:FOLDER")
        try:
            from transformers import Dinov2Model
        except ImportError:
            raise DataError('the extractor dinov2 needs transformers: pip install "sparring[dinov2]"') from None
        try:
            model, found = Dinov2Model.from_pretrained(name, use_safetensors=True, output_loading_info=True)
        except Exception as error:  # transformers raises any exception for a wrong name or folder
            raise DataError(
                f"{name} does not give a DINOv2 ({_short(error)}): give a folder with config.json and "
                "model.safetensors, or a name on the hub like facebook/dinov2-small"
            ) from error
        if absent := [*found["missing_keys"], *found["mismatched_keys"]]:
            raise DataError(
                f"{name} does not hold the weights of DINOv2: {len(absent)} are missing or of another shape"
            )
        self.model = model.float().eval().requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        if x.shape[2:] != (_SIDE, _SIDE):
            x = F.interpolate(x, (_SIDE, _SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        return self.model(pixel_values=standardized(x)).last_hidden_state[:, 0], None
