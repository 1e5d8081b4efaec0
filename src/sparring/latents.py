"""Latents in a file: what `sparring project` found for given samples, and where the explorer can start from."""

from pathlib import Path

import torch
from torch import Tensor

from sparring.config import ConfigError
from sparring.data.dataset import digest, printable
from sparring.files import CheckpointError, load_tensors, save_tensors
from sparring.pretrained import GAN


def identity(gan: GAN) -> str:
    """Tells whose z a file holds: z of one generator mean nothing to another."""
    weights = sorted(gan.generator.state_dict().items())
    return digest(*(part for name, value in weights for part in (name, value.cpu())))


def save_latents(z: Tensor, condition: Tensor, path: Path, gan: GAN) -> None:
    """z (N, z_size) and conditions (N, ...) as a .safetensors file, and whose they are as metadata."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, {"z": z, "condition": condition}, {"generator": identity(gan)})


def read_latents(path: Path, gan: GAN) -> tuple[Tensor, Tensor]:
    """z (N, z_size) and conditions (N, ...) as `save_latents` wrote them; raises `ConfigError` for those of another
    generator."""
    try:
        tensors, facts = load_tensors(path)
        z, condition = tensors["z"], tensors["condition"]
        whose = facts["generator"]
    except (CheckpointError, KeyError, TypeError, OSError) as error:
        raise ConfigError(
            f"--latents {path} holds no latents ({printable(str(error))}): `sparring project` writes such a file"
        ) from None
    of_this = whose == identity(gan) and z.ndim == 2 and z.shape[1] == gan.generator.z_size
    if not of_this or not z.isfinite().all() or not _fits(condition, len(z), gan):
        raise ConfigError(
            f"--latents {path} is of other weights than this run has now: project the samples onto them (sparring "
            "project)"
        )
    return z.float(), condition


def _fits(condition: Tensor, num: int, gan: GAN) -> bool:
    try:
        return torch.equal(gan.spec.condition.parse(condition, num), condition)
    except ConfigError:
        return False
