"""Training a codec, before the GAN that works on its latents: encode, decode, compare."""

import math
from typing import Any

import torch
from torch import Tensor

from sparring.codecs import TrainedCodec
from sparring.config import Config
from sparring.data.dataset import Dataset, TensorDataset
from sparring.data.order import ShuffledOrder, derive_seed
from sparring.training import state
from sparring.training.optim import ROLLBACK_LR, set_lr

WARMUP = 0.02  # of the training
CHUNK_NUMBERS = 16_000_000  # in the samples that are looked at or encoded at once


def _chunk(dataset: Dataset) -> int:
    return max(1, min(256, CHUNK_NUMBERS // math.prod(dataset.sample_shape)))


class CodecTrainer:
    """The codec, its optimiser and the step; randomness follows from the seed and the samples seen."""

    def __init__(
        self, config: Config, codec: TrainedCodec, dataset: Dataset, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.config, self.dataset, self.device, self.dtype = config, dataset, device, dtype
        self.codec = codec.to(device)
        looked_at = torch.linspace(0, len(dataset) - 1, min(_chunk(dataset), len(dataset))).long()
        self.codec.measure(dataset.batch(looked_at)[0].to(device))
        self.optimizer = torch.optim.Adam(self.codec.parameters(), config.codec.lr, betas=(0.9, 0.99), fused=True)
        self.order = ShuffledOrder(len(dataset), derive_seed(config.train.seed, "codec"))
        self.samples_seen, self.rollbacks = 0, 0
        self.num_samples, self.batch_size = config.codec.num_samples, config.codec.batch_size

    def step(self) -> dict[str, Tensor]:
        """One step down the codec's loss; returns what to log, still on the device."""
        random = torch.Generator(self.device)
        random.manual_seed(derive_seed(self.config.train.seed, "codec step", self.samples_seen, self.rollbacks))
        samples, _ = self.dataset.batch(self.order[self.samples_seen : self.samples_seen + self.batch_size])
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            losses = self.codec.loss(samples.to(self.device, non_blocking=True), random)
        sum(losses.values(), torch.zeros((), device=self.device)).backward()
        norm = torch.nn.utils.clip_grad_norm_(self.codec.parameters(), math.inf)
        progress = self.samples_seen / self.num_samples
        factor = min(1.0, (progress + 1e-3) / WARMUP) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
        set_lr(self.optimizer, self.config.codec.lr * factor * ROLLBACK_LR**self.rollbacks)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.samples_seen += self.batch_size
        return {name: value.detach().float() for name, value in losses.items()} | {"gradient/codec": norm}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        counts = {"samples_seen": self.samples_seen, "rollbacks": self.rollbacks}
        return state.flatten({"codec": self.codec}, {"codec": self.optimizer}), counts

    def restore(self, tensors: dict[str, Tensor], counts: dict[str, Any]) -> None:
        state.restore(tensors, {"codec": self.codec}, {"codec": self.optimizer})
        self.samples_seen, self.rollbacks = counts["samples_seen"], counts["rollbacks"]


@torch.no_grad()
def latents_of(dataset: Dataset, codec: TrainedCodec, device: torch.device) -> TensorDataset:
    """What the trained codec makes of every sample, in memory: what the GAN is trained on.

    Always in the same chunks, as a sample's last bits may depend on its neighbours in the batch.
    """
    chunks = torch.arange(len(dataset)).split(_chunk(dataset))
    latents = torch.cat([codec.compress(dataset.batch(chunk)[0].to(device)).cpu() for chunk in chunks])
    return TensorDataset(
        name=dataset.name,
        sample_shape=tuple(latents.shape[1:]),
        classes=dataset.classes,
        class_names=dataset.class_names,
        fingerprint=dataset.fingerprint,
        value_range="latents of zero mean and unit variance",
        samples=latents,
    )
