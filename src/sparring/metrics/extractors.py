"""Feature extractors for pictures, by name. A distance in the features of one says nothing of another's.

digits                   the digit classifier that ships with the package (28×28 grey)
untrained                shades and convolutions with fixed random weights: what any picture is like at a glance
inception                the network behind FID, its weights downloaded once; inception:FILE where they are there
dinov2:NAME_OR_FOLDER    a DINOv2 of the Hugging Face hub or of a folder (extra: dinov2)
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

_LARGE = 50  # pictures at once where they are enlarged
_SIDE = 224  # of what DINOv2 looks at


@dataclass(frozen=True)
class Extractor:
    """Pictures (B, C, H, W) in [-1, 1] to features (B, D) and class logits (B, K), or None where it has no classes."""

    name: str
    look: Callable[[Tensor], tuple[Tensor, Tensor | None]]
    resized: str
    """How pictures are brought to its size."""
    key: str
    """Names the extractor and its weights by what they are: equal keys give equal features."""
    classes: tuple[str, ...] = ()
    fid: bool = False
    """Whether the Fréchet distance of its features is FID."""
    batch: int = BATCH
    classifies: bool = False
    """Whether it gives logits: of the `classes`, or of others that have no names here."""
    quick: bool = True
    """Looks at thousands of pictures in seconds."""
    device: torch.device | str = "cpu"
    """On which it looks; features and logits come back to the CPU."""

    @torch.no_grad()
    def __call__(self, pictures: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of any number of pictures, always in the same batches: a result does not depend on how many there are."""
        parts = [self.look(chunk.to(self.device, torch.float32).clamp(-1, 1)) for chunk in pictures.split(self.batch)]
        logits = [found.cpu() for _, found in parts if found is not None]
        return torch.cat([features.cpu() for features, _ in parts]), torch.cat(logits) if logits else None


def make_extractor(name: str, sample_shape: tuple[int, ...], device: torch.device | str = "cpu") -> Extractor:
    """Raises `DataError` for what is not there or does not go with pictures of this shape."""
    device = torch.device(device)
    kind, colon, where = name.partition(":")
    if colon and kind in ("digits", "untrained"):
        raise DataError(f"the extractor {kind} takes no file: write --extractor {kind}")
    if kind == "digits":
        if sample_shape != (1, 28, 28):
            raise DataError(f"the extractor digits looks at 28×28 grey pictures, not {sample_shape}: try untrained")
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
        title, resized = "Inception v3 of 2015-12-05, FID's", "bilinear to 299×299 as in TensorFlow 1, not smoothed"
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
        batch=BATCH if kind == "cifar10-resnet" else _LARGE,
        classifies=kind != "dinov2",
        quick=kind == "cifar10-resnet" or device.type != "cpu",
        device=device,
    )


def rgb(pictures: Tensor) -> Tensor:
    """Pictures (B, C, H, W) or clips (B, C, T, H, W) in [-1, 1], 1 to 4 channels, to 3 channels in [0, 1]: transparent
    ones laid on black."""
    x = (pictures + 1) / 2
    if x.shape[1] in (2, 4):
        x = x[:, :-1] * x[:, -1:]
    return x.expand(-1, 3, *x.shape[2:]) if x.shape[1] == 1 else x


def _key(kind: str, resized: str, network: nn.Module, device: torch.device) -> str:
    """Of a network on the CPU that will look on the device, which rounds in its own way."""
    return f"{kind}-{digest(resized, device.type, *chain.from_iterable(network.state_dict().items()))}"


def read_weights(kind: str, file: str, holds: str, build: Callable[[Any], nn.Module]) -> nn.Module:
    """What `build` makes of the weights in a file; raises `DataError` for none or for others."""
    if not file:
        raise DataError(f"the extractor {kind} needs a weights file: write {kind}:FILE")
    try:
        return build(torch.load(file, map_location="cpu", weights_only=True))
    except FileNotFoundError:
        raise DataError(f"there is no weights file {file}: write {kind}:FILE") from None
    except pickle.UnpicklingError:  # PyTorch's own advice would be to let the file run code
        raise DataError(f"{file} holds no {holds}'s weights: it is no file of tensors alone") from None
    except KeyError as error:  # a tensor that it lacks, or what an unpickler makes of a text
        raise DataError(f"{file} holds no {holds}'s weights") from error
    except Exception as error:  # whatever an unpickler makes of a file that is something else
        raise DataError(f"{file} holds no {holds}'s weights: {_short(error)}") from error


def _short(error: Exception) -> str:
    return textwrap.shorten(str(error), 300, placeholder=" ...")


# Oquab et al. 2023; pictures brought to size as by Stein et al. 2023, whose Fréchet distance takes the same features
class _Dinov2(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1] to features (B, D), the class token after the last normalization; no logits."""

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
        except Exception as error:  # of the hub, of the folder's files, of what they say
            raise DataError(
                f"no DINOv2 is to be had from {name} ({_short(error)}): give a folder with config.json and "
                "model.safetensors, or a name on the hub like facebook/dinov2-small"
            ) from error
        if absent := [*found["missing_keys"], *found["mismatched_keys"]]:
            raise DataError(f"{name} holds no DINOv2's weights: {len(absent)} are missing or of another shape")
        self.model = model.float().eval().requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        if x.shape[2:] != (_SIDE, _SIDE):
            x = F.interpolate(x, (_SIDE, _SIDE), mode="bicubic", antialias=True).clamp(0, 1)
        return self.model(pixel_values=standardized(x)).last_hidden_state[:, 0], None
