"""The peer that samples in many passes: a flow-matching transformer made of our generator's blocks, and its loop.

Lipman et al. 2023, Liu et al. 2023 (rectified flow): at x_t = (1 - t) x_0 + t x_1, between noise and a sample, the
network learns the velocity v = x_1 - x_0; Euler steps along the velocity make samples. The network is our generator
with two other inputs: noisy tokens in place of its noise, through a stem like the discriminator's, and t in place of z.
The width of its MLPs is chosen for the wanted number of parameters. There is no augmentation and no guidance.

Shapes: B batch, N tokens, C numbers of a token.
"""

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from dcgan import parameters
from torch import Tensor

from sparring.build import build
from sparring.codecs.tokenizer import Tokenizer
from sparring.config import Config
from sparring.data.dataset import Dataset
from sparring.data.order import ShuffledOrder, derive_seed
from sparring.data.spec import DataSpec
from sparring.device import choose_dtype
from sparring.models.generator import Generator
from sparring.models.positions import Grid
from sparring.models.stem import Stem
from sparring.sampling import draw_z
from sparring.training.ema import RAMPUP, ExponentialMovingAverage

TIME_DIM = 64
BATCH = 250
"""Samples in one pass."""
NEAREST = 0.05
"""Smallest 1 - t that training divides by."""


@dataclass(frozen=True)
class FlowConfig:
    """Settings chosen on the digits, in runs of half a minute."""

    size: Literal["generator", "both"] = "generator"
    """As many parameters and blocks as the generator, or as both networks together."""
    predicts: Literal["sample", "velocity"] = "sample"
    """The network's output; the loss is the velocity's in both cases."""
    time: Literal["logit-normal", "uniform"] = "logit-normal"
    mean: float = -1.2
    """Mean of the logit of t (Esser et al. 2024): below 0, t near the noise is more frequent."""
    lr: float = 3e-3
    batch_size: int = 32
    warmup: int = 2_000
    ema_half_life: int = 200_000
    ema_rampup: float = RAMPUP
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


class FlowTransformer(Generator):
    """Noisy tokens (B, N, C), times (B,) and conditions (B, ...) to the velocities of the tokens (B, N, C)."""

    def __init__(self, grid: Grid, token_dim: int, *, width: int, stem: int, predicts: str, **shared: Any) -> None:
        super().__init__(grid, token_dim, width=width, stem=stem, z_dim=TIME_DIM, noise_dim=token_dim, **shared)
        if stem:
            self.embed = Stem(grid, token_dim, width, levels=stem, channels=max(1, width // 4))
        self.predicts = predicts

    def forward(self, tokens: Tensor, times: Tensor, condition: Tensor) -> Tensor:
        dtype = self.scale.weight.dtype
        w = self.mapping(time_features(times).to(dtype), condition)
        found = self.synthesize(w, tokens.to(dtype)).float()
        if self.predicts == "velocity":
            return found
        # Li & He 2025: samples lie near a manifold and noise does not, so a small network predicts samples better.
        nearest = NEAREST if self.training else 1e-6
        return (found - tokens) / (1 - times).clamp_min(nearest)[:, None, None]


# Vaswani et al. 2017, section 3.5; times are scaled to 0..1000 as in Peebles & Xie 2023 (DiT)
def time_features(times: Tensor) -> Tensor:
    """Times (B,) in [0, 1] to sines and cosines (B, TIME_DIM)."""
    frequencies = 1000 * 10_000 ** -torch.linspace(0, 1, TIME_DIM // 2, device=times.device)
    angles = times[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], 1)


def flow_transformer(config: Config, spec: DataSpec, flow: FlowConfig) -> FlowTransformer:
    """A network of the generator's width; its MLPs are as wide as the wanted number of parameters allows."""
    model, tokenizer = config.model, tokenizer_of(config, spec)
    with torch.device("meta"):
        networks = build(config, spec)
    target, depth = parameters(networks.generator), model.depth
    if flow.size == "both":
        discriminator = networks.list_critics()[0].discriminator
        target, depth = target + parameters(discriminator), depth + len(discriminator.blocks)

    def make(hidden: int) -> FlowTransformer:
        return FlowTransformer(
            tokenizer.grid,
            tokenizer.token_dim,
            width=model.width,
            depth=depth,
            num_heads=model.num_heads,
            condition=spec.condition,
            mlp_ratio=hidden / model.width,
            positions=model.positions,
            rotary=model.rotary,
            adaln_gain=model.adaln_gain,
            stem=model.stem,
            predicts=flow.predicts,
        )

    def distance(hidden: int) -> int:
        with torch.device("meta"):
            return abs(parameters(make(hidden)) - target)

    found = make(min(range(8, 8 * model.width, 8), key=distance))
    if abs(parameters(found) / target - 1) > 0.05:
        raise ValueError(f"no width of the MLPs leads to about {target:,} parameters")
    return found


def tokenizer_of(config: Config, spec: DataSpec) -> Tokenizer:
    """The tokenizer of the configuration's codec, with the token grid of our networks."""
    return config.codec.build(spec, 2 ** max(config.stems)).tokenizer


def euler(model: FlowTransformer, tokens: Tensor, condition: Tensor, steps: int) -> Tensor:
    """Noise to samples, both as tokens (B, N, C), in `steps` passes."""
    for step in range(steps):
        times = torch.full((len(tokens),), step / steps, device=tokens.device)
        tokens = tokens + model(tokens, times, condition) / steps
    return tokens


class FlowTrainer:
    """The network, its optimiser, its EMA and the training step, with the names of our `Trainer`."""

    def __init__(self, config: Config, flow: FlowConfig, dataset: Dataset, device: torch.device) -> None:
        self.config, self.flow, self.dataset, self.device = config, flow, dataset, device
        self.dtype, _ = choose_dtype(flow.precision, device)
        self.spec = DataSpec.of(dataset)
        self.tokenizer = tokenizer_of(config, self.spec)
        self.model = flow_transformer(config, self.spec, flow).to(device)
        self.ema = ExponentialMovingAverage(self.model, half_life=flow.ema_half_life, rampup=flow.ema_rampup)
        self.optimizer = torch.optim.Adam(self.model.parameters(), flow.lr, betas=(0.9, 0.99), fused=True)
        self.order, self.samples_seen = ShuffledOrder(len(dataset), config.train.seed), 0

    def step(self) -> dict[str, Tensor]:
        flow, count = self.flow, self.flow.batch_size
        random = torch.Generator(self.device)
        random.manual_seed(derive_seed(self.config.train.seed, "flow", self.samples_seen))
        samples, condition = self.dataset.batch(self.order[self.samples_seen : self.samples_seen + count])
        ends, condition = self.tokenizer.patchify(samples.to(self.device)), condition.to(self.device)
        starts = torch.randn(ends.shape, generator=random, device=self.device)
        if flow.time == "uniform":
            times = torch.rand(count, generator=random, device=self.device)
        else:
            times = (flow.mean + torch.randn(count, generator=random, device=self.device)).sigmoid()
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            velocities = self.model(starts.lerp(ends, times[:, None, None]), times, condition)
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
        """`num` samples of the averaged network, all classes in turn; on the CPU, in [-1, 1]."""
        condition, parts = self.spec.condition.spread(num).to(self.device), []
        shape = (math.prod(self.tokenizer.grid), self.tokenizer.token_dim)
        for start in range(0, num, BATCH):
            chosen = condition[start : start + BATCH]
            noise = draw_z(len(chosen), math.prod(shape), seed=seed, start=start).to(self.device)
            tokens = euler(self.ema.model, noise.unflatten(1, shape), chosen, steps)
            parts.append(self.tokenizer.unpatchify(tokens).clamp(-1, 1).cpu())
        return torch.cat(parts)
