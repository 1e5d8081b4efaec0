"""A trained GAN: saving, loading and sampling.

A run folder holds `config.json` and `model.safetensors`; the metadata of the latter repeat the JSON, so that each file
alone describes the weights. Loading executes no code from the folder and allocates no more than the file's size.
"""

import math
import struct
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from sparring.build import Networks, build
from sparring.config import Config, ConfigError
from sparring.data.dataset import Dataset
from sparring.data.spec import DataSpec
from sparring.device import choose_device
from sparring.files import CheckpointError, load_tensors, save_tensors
from sparring.migration import FORMAT, migrated, present_name
from sparring.modalities.registry import modality_of, open_dataset
from sparring.plain_json import read_json
from sparring.regular_files import open_regular, read_regular
from sparring.sampling import draw_z, interpolate, mean_w

MAX_PSI = 100
MAX_HEADER = 16 * 2**20
MAX_CONFIG = 2 * MAX_HEADER
"""The header repeats `config.json`, which is indented."""
SHIPPED = Path(__file__).parent / "runs"
"""Runs shipped with the package (made by `recipes/`): digits, names, sines, bouncing."""


class GAN:
    """A trained generator and its discriminator."""

    def __init__(self, config: Config, spec: DataSpec, networks: Networks) -> None:
        self.config, self.spec, self.modality = config, spec, modality_of(spec)
        self.codec = networks.codec
        self.networks = networks
        self.generator, self.critics = networks.generator, networks.list_critics()
        self.device = next(networks.parameters()).device

    @property
    def class_names(self) -> tuple[str, ...]:
        """Empty for a GAN without classes."""
        return self.spec.class_names

    @torch.inference_mode()
    def sample(
        self,
        num: int,
        *,
        seed: int = 0,
        condition: int | str | float | Sequence[Any] | Tensor | None = None,
        truncation_psi: float = 1.0,
        reject: float = 0.0,
        batch_size: int = 256,
    ) -> Any:
        """`num` samples (num, *sample_shape) on the CPU: pixels in [-1, 1], series in their own units with NaN after
        their ends; texts as a list of strings.

        `condition` is a class (number or name) or K numbers, for all samples or one for each. None takes all classes,
        or examples from the data, in turn.
        `truncation_psi` below 1 trades diversity for typicality: it moves w toward its mean and scales the noise
        (Karras et al. 2019). `reject` is the share of rejected samples, 1 - 1/N for an integer N: the candidate with
        the highest logit of N is kept (Azadi et al. 2019). Sample i depends only on the seed and i, not on `num` or
        `batch_size`.
        """
        if reject and not 0.4 <= reject <= 0.99:
            raise ConfigError(f"the share to reject must be 0, 0.5, 0.67, 0.75, ... up to 0.99, not {reject}")
        if not abs(truncation_psi) <= MAX_PSI:  # NaN too
            raise ConfigError(f"--truncation takes a number from {-MAX_PSI} to {MAX_PSI}, not {truncation_psi:g}")
        conditions = self.spec.condition.parse(condition, num).to(self.device)
        candidates, chunks = round(1 / (1 - reject)), []
        batch_size = max(1, batch_size // candidates)
        for start in range(0, num, batch_size):
            count = min(batch_size, num - start)
            z = draw_z(count * candidates, self.generator.z_size, seed=seed, start=start * candidates).to(self.device)
            chosen = conditions[start : start + count].repeat_interleave(candidates, 0)
            tokens = self._tokens(z, chosen, truncation_psi)
            if candidates > 1:
                logits = self.critics[0].score(self.codec.unpatchify(tokens), chosen).view(count, candidates)
                tokens = tokens.unflatten(0, (count, candidates))[torch.arange(count), logits.argmax(1)]
            chunks.append(self._decode_tokens(tokens).cpu())
        return self._to_user(torch.cat(chunks) if chunks else torch.empty(0, *self.spec.sample_shape))

    @torch.inference_mode()
    def decode(self, z: Tensor, condition: Tensor, truncation_psi: float = 1.0) -> Any:
        """z (B, z_size), conditions (B, ...) -> B samples as returned by `sample`."""
        return self._to_user(self._decode_tokens(self._tokens(z, condition, truncation_psi)))

    def _decode_tokens(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, token_dim) -> (B, *sample_shape)."""
        return self.codec.decode(self.codec.unpatchify(tokens))

    def _to_user(self, samples: Tensor) -> Any:
        return self.modality.to_user(samples, self.spec)

    def _tokens(self, z: Tensor, condition: Tensor, truncation_psi: float) -> Tensor:
        global_z, noise = self.generator.split(z)
        w = self.generator.mapping(global_z, condition)
        if truncation_psi != 1:
            w = mean_w(self.generator, condition).lerp(w, truncation_psi)
            noise = noise * truncation_psi
        return self.generator.synthesize(w, noise)

    @torch.inference_mode()
    def reconstruct(self, samples: Tensor) -> Any:
        """The codec's reconstructions of a `Dataset`'s samples (B, *sample_shape), as returned by `sample`."""
        codec = self.codec
        return self._to_user(codec.decode(codec.encode(samples.to(self.device))))

    def interpolate(self, steps: int, *, seed: int = 0, num: int = 9, condition: Any = None) -> list[Any]:
        """A closed interpolation in z of `num` samples: for each step, samples as returned by `sample`."""
        conditions = self.spec.condition.parse(condition, num).to(self.device)
        frames = interpolate(steps, num, self.generator.z_size, seed=seed)
        return [self.decode(z.to(self.device), conditions) for z in frames]


def load(path: str | Path, device: str = "auto") -> GAN:
    """Loads a GAN from a run folder, a shipped run ("digits") or, with the extra `hub`, a Hugging Face id such as
    "someone/digits" or "hf:someone/digits".

    Raises `CheckpointError` or `ConfigError` with one line that names the problem.
    """
    folder = find_run(path)
    config, spec = read_config(folder)
    file = folder / "model.safetensors"
    shapes = {present_name(name): shape for name, shape in _header(file).items()}
    with torch.device("meta"):
        networks = _build(config, spec, file)
    expected = {name: tuple(value.shape) for name, value in networks.state_dict().items()}
    if expected != shapes:
        odd = next(name for name in [*expected, *shapes] if expected.get(name) != shapes.get(name))
        raise CheckpointError(
            f"{file} does not fit {folder / 'config.json'} (at {odd or 'a tensor without a name'}): they belong to "
            "different runs"
        )
    tensors, _ = load_tensors(file)
    if broken := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise CheckpointError(
            f"{file} holds weights that are not finite (at {broken[0]}), so it can make nothing: restore it, or train "
            "anew with half the --optim.lr"
        )
    with torch.random.fork_rng(devices=[]):  # initial weights are drawn, and replaced
        networks = _build(config, spec, file)
    networks.load_state_dict({present_name(name): tensor for name, tensor in tensors.items()})
    return GAN(config, spec, networks.to(choose_device(device)).eval().requires_grad_(False))


def find_run(path: str | Path) -> Path:
    """The folder of a run: `path` itself, a shipped run, or a download from the hub."""
    folder = Path(path)
    if str(path) in shipped() and not (folder / "config.json").exists():
        return SHIPPED / path
    return folder if folder.exists() else _download(str(path))


def shipped() -> list[str]:
    """Names of the shipped runs."""
    return sorted(folder.name for folder in SHIPPED.iterdir() if folder.is_dir())


def run_title(path: str | Path) -> str:
    """The name of a run: its name on the hub or its folder's name, "RUN/best" for the state in `best/`."""
    if not Path(path).exists():
        return Path(path).name
    folder = Path(path).resolve()
    return f"{folder.parent.name}/best" if folder.name == "best" else folder.name


def open_data_of(gan: GAN) -> Dataset:
    """The data that a GAN was trained on; raises `ConfigError` if they have changed."""
    dataset = open_dataset(**gan.config.data.to_dict())
    if not gan.spec.like(DataSpec.of(dataset)):
        raise ConfigError(
            f"{gan.config.data.path} is no longer what this GAN was trained on: now {dataset.sample_shape} with "
            f"{dataset.condition.summary}, then {gan.spec.sample_shape} with {gan.spec.condition.summary}"
            + (", with another vocabulary" if gan.spec.vocabulary != dataset.vocabulary else "")
        )
    return dataset


def write_model(path: Path, networks_state: dict[str, Tensor], config: Config, spec: DataSpec) -> None:
    """Writes `model.safetensors`: "generator.*" (averaged) and "discriminator.*"."""
    save_tensors(path, networks_state, run_json(config, spec))


def run_json(config: Config, spec: DataSpec) -> dict[str, Any]:
    """The content of `config.json`."""
    return {"format": FORMAT, "config": config.to_dict(), "data": spec.to_dict()}


def read_config(folder: Path) -> tuple[Config, DataSpec]:
    """The settings and data of a run folder."""
    path = folder / "config.json"
    try:
        values = migrated(read_json(read_regular(path, MAX_CONFIG, CheckpointError)), str(path))
        return Config.from_dict(values["config"]), DataSpec.from_dict(values["data"])
    except (FileNotFoundError, NotADirectoryError):
        raise CheckpointError(
            f"{folder} is not a run folder: it has no config.json; `sparring train DATA --out {folder}` makes one"
        ) from None
    except ConfigError as error:
        raise CheckpointError(f"{path} cannot be read: {error}") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, OSError, ValueError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{path} is damaged ({type(error).__name__}: {error})") from error


def _build(config: Config, spec: DataSpec, file: Path) -> Networks:
    try:
        return build(config, spec)
    except (ArithmeticError, LookupError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(f"{file.parent / 'config.json'} describes no valid network: {error}") from error


def _header(file: Path) -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor; reads only the header."""
    try:
        with open_regular(file, sys.maxsize, CheckpointError) as handle:
            (length,) = struct.unpack("<Q", handle.read(8))
            if length > MAX_HEADER:
                raise ValueError(f"a header of {length} bytes")
            header = read_json(handle.read(length))
        size = file.stat().st_size - 8 - length
        shapes = {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
        # A list in a shape would be repeated by the product.
        if not all(type(side) is int and side >= 0 for shape in shapes.values() for side in shape):
            raise ValueError("a shape that is not whole numbers")
        if sum(math.prod(shape) for shape in shapes.values()) > size:
            raise ValueError("it is truncated")
        return cast(dict[str, tuple[int, ...]], shapes)
    except FileNotFoundError:
        raise CheckpointError(f"{file} is missing: the run has saved no model yet") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(f"{file} is damaged ({error}): restore it, or resume the run to write it anew") from error


def _download(name: str) -> Path:
    from sparring.hub.client import NAME, PREFIX, download, repository

    if name.startswith(PREFIX):
        return download(repository(name))
    if not NAME.fullmatch(name):
        raise CheckpointError(f"{name} does not exist: give a run folder, or a hub id such as someone/digits")
    try:
        return download(name)
    except (CheckpointError, ConfigError) as error:
        raise CheckpointError(f"{name} is no folder here: {error}") from error


__all__ = ["GAN", "CheckpointError", "ConfigError", "load", "read_config", "write_model"]
