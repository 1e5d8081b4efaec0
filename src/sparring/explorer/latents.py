"""Latents that `sparring project` found for given samples: where the explorer can start from."""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from sparring.config import ConfigError
from sparring.pretrained import GAN


def read_latents(path: Path, gan: GAN) -> tuple[Tensor, Tensor]:
    """z (N, z_size) and class labels (N,); raises `ConfigError` for a file that is not of this run."""
    try:
        tensors = load_file(path)
    except FileNotFoundError:
        raise ConfigError(f"--latents {path} does not exist: `sparring project` writes such a file") from None
    except (SafetensorError, OSError) as error:
        raise ConfigError(f"--latents {path} is no .safetensors file ({error})") from error
    if "z" not in tensors or "class_labels" not in tensors:
        raise ConfigError(f'--latents {path} must hold "z" and "class_labels": `sparring project` writes such a file')
    z, labels = tensors["z"].float(), tensors["class_labels"]
    size, classes = gan.generator.z_size, max(1, len(gan.class_names))
    fits = z.ndim == 2 and z.shape[1] == size and bool(z.isfinite().all())
    if not fits or labels.shape != z.shape[:1] or labels.dtype != torch.long:
        raise ConfigError(
            f"--latents {path} is of another run: z is {tuple(z.shape)} with labels {tuple(labels.shape)}, this run's "
            f"is (N, {size}) with (N,); project the samples onto this run"
        )
    odd = labels[(labels < 0) | (labels >= classes)].tolist()
    if odd:
        raise ConfigError(f"--latents {path} is of another run: it has class {odd[0]}, this run {classes} classes")
    return z, labels
