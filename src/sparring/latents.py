"""Files of latents: `sparring project` writes them, and the explorer reads them."""

from pathlib import Path

import torch
from torch import Tensor

from sparring.config import ConfigError
from sparring.data.dataset import digest, printable
from sparring.files import CheckpointError, load_tensors, save_tensors
from sparring.pretrained import GAN


def identity(gan: GAN) -> str:
    """A digest of the generator's weights: z is meaningful for one generator only."""
    weights = sorted(gan.generator.state_dict().items())
    return digest(*(part for name, value in weights for part in (name, value.cpu())))


def save_latents(z: Tensor, condition: Tensor, path: Path, gan: GAN) -> None:
    """Writes z (N, z_size) and conditions (N, ...) to a .safetensors file; the metadata hold the generator's digest."""
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path, {"z": z, "condition": condition}, {"generator": identity(gan)})


def read_latents(path: Path, gan: GAN) -> tuple[Tensor, Tensor]:
    """z (N, z_size) and conditions (N, ...) from `save_latents`; raises `ConfigError` for another generator's."""
    try:
        tensors, facts = load_tensors(path)
        z, condition = tensors["z"], tensors["condition"]
        owner = facts["generator"]
    except (CheckpointError, KeyError, TypeError, OSError) as error:
        raise ConfigError(
            f"--latents {path} holds no latents ({printable(str(error))}): `sparring project` writes such a file"
        ) from None
    own = owner == identity(gan) and z.ndim == 2 and z.shape[1] == gan.generator.z_size
    if not own or not z.isfinite().all() or not _fits(condition, len(z), gan):
        raise ConfigError(
            f"--latents {path} belongs to other weights than this run has now: project the samples again (sparring "
            "project)"
        )
    return z.float(), condition


def _fits(condition: Tensor, num: int, gan: GAN) -> bool:
    try:
        return torch.equal(gan.spec.condition.parse(condition, num), condition)
    except ConfigError:
        return False
