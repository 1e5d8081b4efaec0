"""Training of a codec, before the GAN is trained on its latents: encode, decode, compare."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from sparring.codecs.codec import Codec
from sparring.config import Config
from sparring.data.dataset import Dataset, TensorDataset
from sparring.data.order import ShuffledOrder, derive_seed
from sparring.training import state
from sparring.training.checkpoint import Counts
from sparring.training.optim import ROLLBACK_LR, set_lr

WARMUP = 0.02  # share of the training
CHUNK_NUMBERS = 16_000_000  # numbers in the samples that are encoded at once


def _chunk(dataset: Dataset, most: int = 256) -> int:
    return max(1, min(most, CHUNK_NUMBERS // math.prod(dataset.sample_shape)))


class CodecTrainer:
    """The codec, its optimiser and the step; randomness depends on the seed and the samples seen only."""

    def __init__(
        self, config: Config, codec: Codec, dataset: Dataset, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.config, self.dataset, self.device, self.dtype = config, dataset, device, dtype
        assert config.codec.learnt is not None, "a codec that learns has training settings"
        self.codec, self.settings = codec, config.codec.learnt
        self.optimizer = torch.optim.Adam(self.codec.parameters(), self.settings.lr, betas=(0.9, 0.99), fused=True)
        self.order = ShuffledOrder(len(dataset), derive_seed(config.train.seed, "codec"))
        self.samples_seen, self.rollbacks = 0, 0
        self.num_samples, self.batch_size = self.settings.num_samples, self.settings.batch_size

    def step(self) -> dict[str, Tensor]:
        """One training step; returns values to log, still on the device."""
        random = torch.Generator(self.device)
        random.manual_seed(derive_seed(self.config.train.seed, "codec step", self.samples_seen, self.rollbacks))
        samples, _ = self.dataset.batch(self.order[self.samples_seen : self.samples_seen + self.batch_size])
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            losses = self.codec.loss(samples.to(self.device, non_blocking=True), random)
        sum(losses.values(), torch.zeros((), device=self.device)).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.codec.parameters(), math.inf)
        progress = self.samples_seen / self.num_samples
        factor = min(1.0, (progress + 1e-3) / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        set_lr(self.optimizer, self.settings.lr * factor * ROLLBACK_LR**self.rollbacks)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.samples_seen += self.batch_size
        return {name: value.detach().float() for name, value in losses.items()} | {"gradient/codec": norm}

    def state(self) -> tuple[dict[str, Tensor], Counts]:
        counts = Counts(samples_seen=self.samples_seen, rollbacks=self.rollbacks)
        return state.flatten({"codec": self.codec}, {"codec": self.optimizer}), counts

    def restore(self, tensors: dict[str, Tensor], counts: Counts) -> None:
        begun = counts.samples_seen > 0
        state.restore(tensors, {"codec": self.codec}, {"codec": self.optimizer}, begun=begun)
        self.samples_seen, self.rollbacks = counts.samples_seen, counts.rollbacks


def prepare_codec(
    config: Config, codec: Codec, dataset: Dataset, device: torch.device, dtype: torch.dtype
) -> CodecTrainer | None:
    """Fits the codec to the data; returns a trainer if the codec learns. With `train.init_from` it has learnt."""
    fit(codec, dataset, device)
    learns = codec.learns and config.train.init_from is None
    return CodecTrainer(config, codec, dataset, device, dtype) if learns else None


def fit(codec: Codec, dataset: Dataset, device: torch.device) -> None:
    """Calls `codec.fit` with samples spread over the data, if the codec needs them."""
    if not codec.fit_samples:
        return
    count = min(_chunk(dataset, codec.fit_samples), len(dataset))
    codec.to(device).fit(dataset.batch(torch.linspace(0, len(dataset) - 1, count).long())[0].to(device))


@torch.no_grad()
def encoded(dataset: Dataset, codec: Codec, device: torch.device) -> Dataset:
    """The latents of a data set, on which the GAN is trained; freezes the codec.

    If `codec.identity`, this is the data set itself. Latents of a codec that learns are kept in memory. Other latents
    are computed on demand, because windows of a table need many times its memory.

    The chunks are always the same, because a latent's last bits may depend on the other samples of its chunk.
    """
    codec.eval().requires_grad_(False)
    if codec.identity:
        return dataset
    if not codec.learns:
        return _Latents.of(dataset, codec, device)
    chunks = torch.arange(len(dataset)).split(_chunk(dataset))
    latents = torch.cat([codec.encode(dataset.batch(chunk)[0].to(device)).cpu() for chunk in chunks])
    return TensorDataset(
        **_facts(dataset),
        sample_shape=tuple(latents.shape[1:]),
        value_range="latents of zero mean and unit variance",
        samples=latents,
    )


def _facts(dataset: Dataset) -> dict[str, Any]:
    names = ("name", "modality", "classes", "class_names", "conditions", "conditioned_on", "fingerprint")
    return {name: getattr(dataset, name) for name in names}


@dataclass(kw_only=True, eq=False)
class _Latents(Dataset):
    """Latents of the samples of `source`."""

    source: Dataset
    codec: Codec
    device: torch.device

    storage: ClassVar[str] = "computed on demand"

    @classmethod
    def of(cls, dataset: Dataset, codec: Codec, device: torch.device) -> Self:
        return cls(
            **_facts(dataset), sample_shape=codec.latent_shape, value_range="latents", source=dataset, codec=codec,
            device=device,
        )  # fmt: skip

    @torch.no_grad()
    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        samples, condition = self.source.batch(indices)
        return self.codec.encode(samples.to(self.device)), condition
