"""The training step and its loop: generate, discriminate, compute both losses, update both networks, repeat."""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sparring.augment import flip
from sparring.build import Networks
from sparring.config import Config
from sparring.critics.critic import Critic, Draw, Penalty
from sparring.data.dataset import Dataset
from sparring.data.order import ShuffledOrder, derive_seed
from sparring.losses import LOSSES, energy_distance, logit_centring
from sparring.training import state
from sparring.training.checkpoint import Counts
from sparring.training.ema import ExponentialMovingAverage
from sparring.training.one_stage import backward_through_discriminator
from sparring.training.optim import ROLLBACK_LR, lr_factor, make_optimizer, set_lr


@dataclass
class Batch:
    """A micro-batch: real samples (B, *latent_shape), conditions (B, ...), z (B, z_size) and a draw for each critic."""

    samples: Tensor
    condition: Tensor
    z: Tensor
    noise: Tensor | None
    """Instance noise of the fakes (B, *latent_shape); that of the real samples is already added."""
    draws: list[Draw]

    def noisy(self, fakes: Tensor) -> Tensor:
        """The fakes with instance noise (Sønderby et al. 2017)."""
        return fakes if self.noise is None else fakes + self.noise


class Trainer:
    """Generator, critics, their optimisers, the averaged generator, and the training step.

    `dataset` holds the codec's latents.

    The randomness of a step depends on the seed and the samples seen only, so a restored trainer continues exactly as
    it would have without the interruption.
    """

    def __init__(
        self, config: Config, networks: Networks, dataset: Dataset, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.config, self.dataset, self.device, self.dtype = config, dataset, device, dtype
        networks = networks.to(device)
        self.codec, self.generator = networks.codec, networks.generator
        self.networks, self.critics = networks, networks.list_critics()
        optim = config.optim
        self.ema = ExponentialMovingAverage(self.generator, half_life=optim.ema_half_life)
        self.lr_g, self.lr_d = optim.lr, optim.discriminator_lr or optim.lr
        self.optimizer_g = make_optimizer(self.generator, self.lr_g, optim)
        self.optimizer_d = make_optimizer(networks.critics, self.lr_d, optim)
        self.loss, penalized = LOSSES[config.loss.name], config.loss.r1 or config.loss.r2
        self.penalty = Penalty(config.loss.penalty if penalized else "none", config.loss.epsilon)
        self.order = ShuffledOrder(len(dataset), config.train.seed)
        self.samples_seen, self.rollbacks = 0, 0
        self.num_samples, self.batch_size = config.train.num_samples, config.train.batch_size
        if config.train.compile:
            self.generator.compile()
            for critic in self.critics:
                critic.discriminator.compile()

    def fit(self, after_step: Callable[[dict[str, Tensor]], bool]) -> None:
        """Repeats `step` until `config.train.num_samples` are seen or `after_step(logs)` returns False."""
        while self.samples_seen < self.config.train.num_samples:
            if not after_step(self.step()):
                return

    def step(self) -> dict[str, Tensor]:
        """One training step; returns values to log, still on the device."""
        loss, batches, logs = self.config.loss, self._batches(), _Mean()
        share = 1 / len(batches)
        for batch in batches:
            # 1. generate
            tokens = self._tokens(batch.z, batch.condition)
            fakes = batch.noisy(self.codec.unpatchify(tokens))
            loss_generator = share * self._energy(batch, fakes)
            for place, (critic, draw) in enumerate(zip(self.critics, batch.draws, strict=True)):
                # 2. discriminate
                condition = batch.condition.repeat_interleave(critic.view.crops, 0)
                real, fake = critic.view(batch.samples, draw.view), critic.view.of_fakes(fakes, tokens, draw.view)
                leaf = fake.detach().requires_grad_()
                logits_real, logits_fake, r1, r2 = critic.discriminate(
                    real, leaf, condition, draw, self.logits, self.penalty
                )
                # 3. compute both losses
                loss_d = self.loss.discriminator(logits_real, logits_fake).mean()
                loss_g = self.loss.generator(logits_real.detach(), logits_fake).mean()
                penalties = self.gamma * critic.gamma * (loss.r1 * r1.mean() + loss.r2 * r2.mean())
                penalties = penalties + loss.centring * logit_centring(logits_real, logits_fake).mean()
                weight = share * critic.weight
                gradient = backward_through_discriminator(
                    weight * (loss_d + penalties), weight * loss_g, logits_fake, leaf
                )
                loss_generator = loss_generator + (gradient * fake).sum()
                gap = logits_real - logits_fake
                logs.add(share, {
                    "loss/d": loss_d, "loss/g": loss_g, "loss/r1": r1, "loss/r2": r2, "logits/gap": gap,
                    "signs/real": gap > 0,
                }, prefix=f"critic {place}/" if place else "")  # fmt: skip
            loss_generator.backward()
        # 4. update both
        logs.add(1, {"gradient/d": self._update(self.networks.critics, self.optimizer_d, self.lr_d)})
        logs.add(1, {"gradient/g": self._update(self.generator, self.optimizer_g, self.lr_g)})
        # 5. repeat
        self.samples_seen += self.config.train.batch_size
        self.ema.update(self.generator, self.samples_seen, self.config.train.batch_size)
        return logs.values

    def generate(self, z: Tensor, condition: Tensor) -> Tensor:
        """z (B, z_size), conditions (B, ...) -> fakes (B, *latent_shape), float32."""
        return self.codec.unpatchify(self._tokens(z, condition))

    def logits(self, critic: Critic, seen: Tensor, condition: Tensor) -> Tensor:
        """Views of samples (B, *view.shape), conditions (B, ...) -> logits (B,), float32."""
        with self._autocast():
            logits: Tensor = critic(seen, condition)
        return logits

    def probe(self) -> None:
        """A forward and backward pass through both networks without side effects, for timing."""
        size = self.config.train.micro_batch_size or self.batch_size
        z = torch.ones(size, self.generator.z_size, device=self.device)
        condition = self.generator.condition.spread(size).to(self.device)
        with self._autocast():
            logits = self.critics[0].score(self.generate(z, condition), condition)
        torch.autograd.grad(logits.sum(), next(self.generator.parameters()))

    def _tokens(self, z: Tensor, condition: Tensor) -> Tensor:
        with self._autocast():
            tokens: Tensor = self.generator(z, condition)
        return tokens.float()

    def _energy(self, batch: Batch, fakes: Tensor) -> Tensor:
        """The weighted energy distance of the fakes, 0 without weight."""
        weight = self.config.loss.energy
        if not weight:
            return fakes.new_zeros(())
        similarity = self.generator.condition.similarity(batch.condition, batch.condition)
        left = max(0.0, 1 - self.samples_seen / self.config.train.num_samples)
        return left * weight * energy_distance(fakes, batch.samples, similarity).mean()

    def _update(self, model: nn.Module, optimizer: torch.optim.Optimizer, lr: float) -> Tensor:
        """Updates one network with the current learning rate; returns its gradient's norm."""
        train, optim = self.config.train, self.config.optim
        norm = nn.utils.clip_grad_norm_(model.parameters(), math.inf)
        set_lr(optimizer, lr * lr_factor(optim, self.samples_seen, train.num_samples) * ROLLBACK_LR**self.rollbacks)
        optimizer.step()
        optimizer.zero_grad()
        return norm

    @property
    def gamma(self) -> float:
        """The factor on R1 and R2, which decays over the run."""
        loss = self.config.loss
        decay = loss.gamma_fall or self.config.train.num_samples
        return loss.final_gamma ** min(1.0, self.samples_seen / decay)

    def _batches(self) -> list[Batch]:
        """The micro-batches of the step that starts at `samples_seen`."""
        train, loss = self.config.train, self.config.loss
        random = torch.Generator(self.device)
        random.manual_seed(derive_seed(train.seed, "step", self.samples_seen, self.rollbacks))
        samples, condition = self.dataset.batch(self.order[self.samples_seen : self.samples_seen + train.batch_size])
        samples = samples.to(self.device, non_blocking=True)
        condition = condition.to(self.device, non_blocking=True)
        if self.config.augment.flip:
            samples = flip(samples, random)
        size = train.micro_batch_size or train.batch_size
        count = max(1, round(size * loss.penalty_fraction))
        left = max(0.0, 1 - 2 * self.samples_seen / train.num_samples)
        sigma = loss.final_noise + (loss.instance_noise - loss.final_noise) * left
        noise = None
        if sigma:
            noise_real, noise = sigma * torch.randn(2, *samples.shape, generator=random, device=self.device)
            samples = samples + noise_real
        return [
            Batch(
                samples[start : start + size],
                condition[start : start + size],
                torch.randn(size, self.generator.z_size, generator=random, device=self.device),
                None if noise is None else noise[start : start + size],
                [critic.draw(self.config.augment, size, count, random) for critic in self.critics],
            )
            for start in range(0, train.batch_size, size)
        ]

    def _autocast(self) -> contextlib.AbstractContextManager[None]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    # The state in a checkpoint: tensors by name, and counts.

    def state(self) -> tuple[dict[str, Tensor], Counts]:
        counts = Counts(samples_seen=self.samples_seen, rollbacks=self.rollbacks)
        return state.flatten(self._modules(), self._optimizers()), counts

    def restore(self, tensors: dict[str, Tensor], counts: Counts) -> None:
        state.restore(tensors, self._modules(), self._optimizers(), begun=counts.samples_seen > 0)
        self.samples_seen, self.rollbacks = counts.samples_seen, counts.rollbacks

    def _modules(self) -> dict[str, nn.Module]:
        return {"generator": self.generator, "critics": self.networks.critics, "ema": self.ema.model}

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator": self.optimizer_g, "critics": self.optimizer_d}


class _Mean:
    """Weighted sums of batch means, by name, for the log."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    def add(self, weight: float, values: dict[str, Tensor], prefix: str = "") -> None:
        for name, value in values.items():
            name = prefix + name
            self.values[name] = self.values.get(name, 0) + weight * value.detach().float().mean()
