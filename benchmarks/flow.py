"""A flow-matching transformer made of our generator's parts, and its loop: the peer that samples in many passes.

Lipman et al. 2023, Liu et al. 2023 (rectified flow): on the way x_t = (1 - t) x_0 + t x_1 from noise to a sample the
network learns the velocity v = x_1 - x_0, and Euler steps along it make samples. The network is our generator with two
inputs changed: noisy tokens, through a stem as the discriminator's, where its own noise came in, and t where z did; its
MLPs are so wide that it has as many parameters. Nothing is augmented, and no guidance is used.

Shapes: B batch, N tokens, C numbers of a token.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from dcgan import parameters
from torch import Tensor

from sparring.build import Networks
from sparring.codecs import make_codec
from sparring.config import Config
from sparring.data.dataset import Dataset
from sparring.data.order import ShuffledOrder, derive_seed
from sparring.data.spec import DataSpec
from sparring.device import choose_dtype
from sparring.models.generator import Generator
from sparring.models.positions import Grid
from sparring.models.stem import Stem
from sparring.sampling import draw_z
from sparring.training.ema import ExponentialMovingAverage

TIME_DIM = 64
BATCH = 250
"""Samples made at once."""
NEAREST = 0.05
"""Where a sample is all but there, its distance is taken to be this share of the way."""


@dataclass(frozen=True)
class FlowConfig:
    """Chosen on the digits, half a minute a try."""

    size: Literal["generator", "both"] = "generator"
    """As many parameters as what samples, at its depth, or as both networks, at their depths' sum."""
    predicts: Literal["sample", "velocity"] = "sample"
    """What the network's output is; the loss is that of the velocity."""
    time: Literal["logit-normal", "uniform"] = "logit-normal"
    mean: float = -1.2
    """Of the logit of t (Esser et al. 2024): below 0 noisy samples come more often, of which the class is learnt."""
    lr: float = 3e-3
    batch_size: int = 32
    warmup: int = 2_000
    ema_half_life: int = 200_000
    ema_rampup: float = 0.1
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


class FlowTransformer(Generator):
    """Noisy tokens (B, N, C), times (B,) and class labels (B,) to the velocities of the tokens (B, N, C)."""

    def __init__(
        self,
        grid: Grid,
        token_dim: int,
        *,
        width: int,
        stem: int,
        stem_channels: int,
        predicts: str,
        **shared: Any,
    ) -> None:
        super().__init__(
            grid,
            token_dim,
            width=width,
            stem=stem,
            stem_channels=stem_channels,
            z_dim=TIME_DIM,
            noise_dim=token_dim,
            **shared,
        )
        if stem:
            self.embed = Stem(grid, token_dim, width, levels=stem, channels=stem_channels)
        self.predicts = predicts

    def forward(self, tokens: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        dtype = self.scale.weight.dtype
        w = self.mapping(time_features(times).to(dtype), condition)
        found = self.synthesize(w, tokens.to(dtype)).float()
        if self.predicts == "velocity":
            return found
        # Li & He 2025: a sample lies on fewer dimensions than its noise, so a small network predicts it better.
        nearest = NEAREST if self.training else 1e-6
        return (found - tokens) / (1 - times).clamp_min(nearest)[:, None, None]


# Vaswani et al. 2017, section 3.5, of times from 0 to 1000 as in Peebles & Xie 2023 (DiT)
def time_features(times: Tensor) -> Tensor:
    """Times (B,) in [0, 1] to sines and cosines (B, TIME_DIM)."""
    frequencies = 1000 * 10_000 ** -torch.linspace(0, 1, TIME_DIM // 2, device=times.device)
    angles = times[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def flow_transformer(config: Config, spec: DataSpec, flow: FlowConfig) -> FlowTransformer:
    """Of the generator's width, with the MLPs that bring it closest to the parameters asked for."""
    model, codec = config.model, make_codec(config, spec.sample_shape).patches
    with torch.device("meta"):
        networks = Networks(config, spec)
    target, depth = parameters(networks.generator), model.depth
    if flow.size == "both":
        target, depth = target + parameters(networks.discriminator), depth + len(networks.discriminator.blocks)

    def make(hidden: int) -> FlowTransformer:
        return FlowTransformer(
            codec.grid,
            codec.token_dim,
            width=model.width,
            depth=depth,
            num_heads=model.num_heads,
            num_classes=spec.num_classes,
            mlp_ratio=hidden / model.width,
            qk_norm=model.qk_norm,
            positions=model.positions,
            rotary=model.rotary,
            adaln_gain=model.adaln_gain,
            gate_bias=model.gate_bias,
            stem=model.stem,
            stem_channels=model.stem_channels or max(1, model.width // 4),
            predicts=flow.predicts,
        )

    def distance(hidden: int) -> int:
        with torch.device("meta"):
            return abs(parameters(make(hidden)) - target)

    found = make(min(range(8, 8 * model.width, 8), key=distance))
    if abs(parameters(found) / target - 1) > 0.05:
        raise ValueError(f"no MLP makes a flow-matching transformer of some {target:,} parameters")
    return found


def euler(model: FlowTransformer, tokens: Tensor, condition: Tensor, steps: int) -> Tensor:
    """Noise to samples, both tokens (B, N, C), in so many passes."""
    for step in range(steps):
        times = torch.full((len(tokens),), step / steps, device=tokens.device)
        tokens = tokens + model(tokens, times, condition) / steps
    return tokens


class FlowTrainer:
    """The network, its optimiser and its average, and the step that moves them; the names are those of our Trainer."""

    def __init__(self, config: Config, flow: FlowConfig, dataset: Dataset, device: torch.device) -> None:
        self.config, self.flow, self.dataset, self.device = config, flow, dataset, device
        self.dtype, _ = choose_dtype(flow.precision, device)
        self.spec = DataSpec.of(dataset)
        self.patches = make_codec(config, self.spec.sample_shape).patches.to(device)
        self.model = flow_transformer(config, self.spec, flow).to(device)
        self.ema = ExponentialMovingAverage(self.model, half_life=flow.ema_half_life, rampup=flow.ema_rampup)
        self.optimizer = torch.optim.Adam(self.model.parameters(), flow.lr, betas=(0.9, 0.99), fused=True)
        self.order, self.samples_seen = ShuffledOrder(len(dataset), config.train.seed), 0

    def step(self) -> dict[str, Tensor]:
        flow, count = self.flow, self.flow.batch_size
        random = torch.Generator(self.device)
        random.manual_seed(derive_seed(self.config.train.seed, "flow", self.samples_seen))
        samples, labels = self.dataset.batch(self.order[self.samples_seen : self.samples_seen + count])
        ends, labels = self.patches.encode(samples.to(self.device)), labels.to(self.device)
        starts = torch.randn(ends.shape, generator=random, device=self.device)
        if flow.time == "uniform":
            times = torch.rand(count, generator=random, device=self.device)
        else:
            times = (flow.mean + torch.randn(count, generator=random, device=self.device)).sigmoid()
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            velocities = self.model(starts.lerp(ends, times[:, None, None]), times, labels)
        loss = F.mse_loss(velocities, ends - starts)
        loss.backward()
        for group in self.optimizer.param_groups:
            group["lr"] = flow.lr * min(1.0, (self.samples_seen + 1) / flow.warmup)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.samples_seen += count
        self.ema.update(self.model, self.samples_seen, count)
        return {"loss": loss.detach()}

    @torch.inference_mode()
    def sample(self, num: int, *, steps: int, seed: int = 0) -> Tensor:
        """`num` samples of the averaged network, their classes in turn; on the CPU, in [-1, 1]."""
        labels, parts = self.spec.condition.spread(num).to(self.device), []
        for start in range(0, num, BATCH):
            chosen = labels[start : start + BATCH]
            noise = draw_z(len(chosen), math.prod(self.spec.sample_shape), seed=seed, start=start).to(self.device)
            tokens = euler(self.ema.model, noise.view(len(chosen), -1, self.patches.token_dim), chosen, steps)
            parts.append(self.patches.decode(tokens).clamp(-1, 1).cpu())
        return torch.cat(parts)
