"""The training step and its loop: generate, judge, compute both losses, update both, repeat."""

import contextlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from sparring.augment import Augmentation, flip
from sparring.build import Networks
from sparring.codecs.patch import PatchCodec
from sparring.codecs.stretches import take_frames
from sparring.config import Config
from sparring.data.dataset import Dataset
from sparring.data.order import ShuffledOrder, derive_seed
from sparring.losses import LOSSES, energy_distance, logit_centring
from sparring.models.attention import attention_backend
from sparring.models.discriminator import Discriminator
from sparring.penalties import exact_penalty, finite_difference_penalty
from sparring.training import state
from sparring.training.ema import ExponentialMovingAverage
from sparring.training.one_stage import backward_through_discriminator
from sparring.training.optim import ROLLBACK_LR, lr_factor, make_optimizer, set_lr


@dataclass
class Batch:
    """What one micro-batch sees: real samples (B, *sample_shape), class labels (B,), z (B, z_size), and the draws.

    Where the discriminator sees a few frames of a clip at a time, samples are no longer than that.
    """

    samples: Tensor
    class_labels: Tensor
    z: Tensor
    frames: Tensor | None  # (B, F): those that samples are; None: all
    augmentation: Augmentation | None
    directions: list[Tensor]  # of each look (2, K, *shape): where R1 and R2 look, for the first K of what is judged
    noise: Tensor | None  # (B, *sample_shape): what is added to the fakes; the real samples have theirs already

    def disturbed(self, fakes: Tensor) -> Tensor:
        """The fakes with their instance noise (Sønderby et al. 2017), as the discriminator sees them."""
        return fakes if self.noise is None else fakes + self.noise


class Look(NamedTuple):
    """How the discriminator looks at samples: at all of each, or close up at parts, each by itself."""

    prefix: str  # of its names in the logs
    network: Discriminator
    encode: Callable[[Tensor], Tensor]  # what is seen, to tokens
    shape: tuple[int, ...]
    share: float  # of a sample's numbers: so much closer together lies what it is to tell apart


@dataclass
class View:
    """What a step judges with one look: real samples (B, ...), fakes and class labels, and the draws."""

    look: Look
    samples: Tensor
    fakes: Tensor
    class_labels: Tensor
    augmentation: Augmentation | None
    directions: Tensor


class Trainer:
    """Two networks, two optimisers, the averaged generator, and the step that moves them.

    `dataset` holds what the codec makes of the data, samples of its `latent_shape`: pixels themselves, or latents. The
    discriminator judges each sample by itself (no batch normalisation), as both networks learn from one pass of it.

    All randomness of a step follows from the seed and the samples seen so far, so a trainer restored from its state
    goes on exactly as it would have.
    """

    def __init__(
        self, config: Config, networks: Networks, dataset: Dataset, device: torch.device, dtype: torch.dtype
    ) -> None:
        self.config, self.dataset, self.device, self.dtype = config, dataset, device, dtype
        networks = networks.to(device)
        self.patches, self.generator, self.discriminator = (
            networks.codec.patches, networks.generator, networks.discriminator,
        )  # fmt: skip
        self.looks = _looks(self.patches, self.discriminator)
        optim = config.optim
        self.ema = ExponentialMovingAverage(self.generator, half_life=optim.ema_half_life, rampup=optim.ema_rampup)
        self.lr_g, self.lr_d = optim.lr, optim.discriminator_lr or optim.lr
        self.optimizer_g = make_optimizer(self.generator, self.lr_g, optim)
        self.optimizer_d = make_optimizer(self.discriminator, self.lr_d, optim)
        self.loss = LOSSES[config.loss.name]
        self.order = ShuffledOrder(len(dataset), config.train.seed)
        self.samples_seen, self.rollbacks = 0, 0
        self.num_samples, self.batch_size = config.train.num_samples, config.train.batch_size
        if config.train.compile:
            self.generator.compile()
            for look in self.looks:
                look.network.compile()

    def fit(self, after_step: Callable[[dict[str, Tensor]], bool]) -> None:
        """Steps until `config.train.num_samples` are seen, or `after_step(logs)` returns False."""
        while self.samples_seen < self.config.train.num_samples:
            if not after_step(self.step()):
                return

    def step(self) -> dict[str, Tensor]:
        """The textbook's five steps once; returns what to log, still on the device."""
        loss, batches, logs = self.config.loss, self._batches(), _Mean()
        share = 1 / len(batches)
        for batch in batches:
            # 1. generate
            tokens = self._generate_tokens(batch.z, batch.class_labels)
            fakes = self.patches.decode(tokens, batch.frames)
            pull = share * self._pull(batch, fakes)
            for view in self._views(batch, tokens, fakes):
                # 2. judge
                judged = view.fakes.detach().requires_grad_()
                logits_real, logits_fake, r1, r2 = self._judge_pairs(view, judged)
                # 3. compute both losses
                loss_d = self.loss.discriminator(logits_real, logits_fake).mean()
                loss_g = self.loss.generator(logits_real.detach(), logits_fake).mean()
                penalties = self.gamma * view.look.share * (loss.r1 * r1.mean() + loss.r2 * r2.mean())
                penalties = penalties + loss.centring * logit_centring(logits_real, logits_fake).mean()
                slope = backward_through_discriminator(
                    share * (loss_d + penalties), share * loss_g, logits_fake, judged
                )
                pull = pull + (slope * view.fakes).sum()
                gap = logits_real - logits_fake
                found = {"loss/d": loss_d, "loss/g": loss_g, "loss/r1": r1, "loss/r2": r2}
                found |= {"logits/gap": gap, "signs/real": gap > 0}
                logs.add(share, {view.look.prefix + name: value for name, value in found.items()})
            pull.backward()
        # 4. update both
        logs.add(1, {"gradient/d": self._update(self.discriminator, self.optimizer_d, self.lr_d)})
        logs.add(1, {"gradient/g": self._update(self.generator, self.optimizer_g, self.lr_g)})
        # 5. repeat
        self.samples_seen += self.config.train.batch_size
        self.ema.update(self.generator, self.samples_seen, self.config.train.batch_size)
        return logs.values

    def generate(self, z: Tensor, class_labels: Tensor, frames: Tensor | None = None) -> Tensor:
        """z (B, z_size), class_labels (B,) -> fakes (B, *sample_shape), float32; of clips only the `frames` (B, F)."""
        return self.patches.decode(self._generate_tokens(z, class_labels), frames)

    def _generate_tokens(self, z: Tensor, class_labels: Tensor) -> Tensor:
        with self._autocast():
            tokens: Tensor = self.generator(z, class_labels)
        return tokens.float()

    def judge(
        self,
        samples: Tensor,
        class_labels: Tensor,
        augmentation: Augmentation | None = None,
        look: Look | None = None,
    ) -> Tensor:
        """samples (B, *sample_shape), or what a `look` takes of them, class_labels (B,) -> logits (B,), float32."""
        look = look or self.looks[0]
        if augmentation is not None:
            samples = augmentation(samples)
        with self._autocast():
            logits: Tensor = look.network(look.encode(samples), class_labels)
        return logits

    def probe(self) -> None:
        """The work of a pass through both networks, forward and backward, without any effect: to be timed."""
        size = self.config.train.micro_batch_size or self.batch_size
        z = torch.ones(size, self.generator.z_size, device=self.device)
        labels = torch.zeros(size, dtype=torch.long, device=self.device)
        torch.autograd.grad(self.judge(self.generate(z, labels), labels).sum(), next(self.generator.parameters()))

    def _views(self, batch: Batch, tokens: Tensor, fakes: Tensor) -> list[View]:
        """What is judged of the samples and of the fakes, look by look."""
        (look, directions), *others = zip(self.looks, batch.directions, strict=True)
        seen, labels = batch.disturbed(fakes), batch.class_labels
        views = [View(look, batch.samples, seen, labels, batch.augmentation, directions)]
        close = self.patches.close
        if close is not None:
            ((look, directions),) = others
            made = close.at_made(tokens, batch.frames, batch.noise)
            labels = labels.repeat_interleave(len(made) // len(labels))
            views.append(View(look, close.at_samples(batch.samples), made, labels, None, directions))
        return views

    def _judge_pairs(self, view: View, fakes: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Logits of the real samples and of the fakes (B,), and R1 and R2 of the first K of each (K,)."""
        loss, count = self.config.loss, view.directions.shape[1]
        labels, augmentation, subset = view.class_labels, view.augmentation, None
        samples, classes = [view.samples, fakes], [labels, labels]
        near: list[Tensor] = []
        if (loss.r1 or loss.r2) and loss.penalty == "finite-difference":
            firsts = torch.stack([view.samples[:count], fakes[:count].detach()])
            near, classes = list(firsts + loss.epsilon * view.directions), classes + 2 * [labels[:count]]
        if augmentation is not None:
            subset = augmentation.first(count)
            samples, near = [augmentation(x) for x in samples], [subset(x) for x in near]
        # One call for all: for small batches the discriminator's cost is mostly that of calling it.
        logits = self.judge(torch.cat(samples + near), torch.cat(classes), look=view.look)
        logits_real, logits_fake, *logits_near = logits.split([len(x) for x in samples + near])
        if near:
            r1 = finite_difference_penalty(logits_real[:count], logits_near[0], loss.epsilon)
            r2 = finite_difference_penalty(logits_fake[:count], logits_near[1], loss.epsilon)
        elif loss.r1 or loss.r2:
            with attention_backend("math"):
                r1, r2 = (
                    exact_penalty(lambda x: self.judge(x, labels[:count], subset, view.look), x[:count])
                    for x in (view.samples, fakes)
                )
        else:
            r1 = r2 = logits.new_zeros(1)
        return logits_real, logits_fake, r1, r2

    def _pull(self, batch: Batch, fakes: Tensor) -> Tensor:
        """What else the generator is asked for: the weighted energy distance, or 0."""
        loss, pull = self.config.loss, fakes.new_zeros(())
        if loss.energy:
            distance = energy_distance(batch.disturbed(fakes), batch.samples, batch.class_labels)
            left = max(0.0, 1 - self.samples_seen / self.config.train.num_samples)
            pull = pull + left * loss.energy * distance.mean()
        return pull

    def _update(self, model: nn.Module, optimizer: torch.optim.Optimizer, lr: float) -> Tensor:
        """Moves one network at the rate that the samples seen ask for; returns its gradient's norm."""
        train, optim = self.config.train, self.config.optim
        norm = nn.utils.clip_grad_norm_(model.parameters(), optim.clip or math.inf)
        set_lr(optimizer, lr * lr_factor(optim, self.samples_seen, train.num_samples) * ROLLBACK_LR**self.rollbacks)
        optimizer.step()
        optimizer.zero_grad()
        return norm

    @property
    def gamma(self) -> float:
        """What R1 and R2 are multiplied with beside their own weights."""
        loss = self.config.loss
        # The more numbers a sample has, the farther apart samples lie, and the less a steep D costs.
        size = math.prod(self.patches.seen.sample_shape) / loss.gamma_size if loss.gamma_size else 1.0
        fall = loss.gamma_fall or self.config.train.num_samples
        return size * loss.final_gamma ** min(1.0, self.samples_seen / fall)

    def _batches(self) -> list[Batch]:
        """The micro-batches of the step that starts at `samples_seen`."""
        train, loss = self.config.train, self.config.loss
        random = torch.Generator(self.device)
        random.manual_seed(derive_seed(train.seed, "step", self.samples_seen, self.rollbacks))
        samples, labels = self.dataset.batch(self.order[self.samples_seen : self.samples_seen + train.batch_size])
        samples, labels = samples.to(self.device, non_blocking=True), labels.to(self.device, non_blocking=True)
        if self.config.augment.flip:
            samples = flip(samples, random)
        frames = self.patches.draw_stretches(train.batch_size, random)
        if frames is not None:
            samples = take_frames(samples, frames)
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
                labels[start : start + size],
                torch.randn(size, self.generator.z_size, generator=random, device=self.device),
                None if frames is None else frames[start : start + size],
                Augmentation.draw(self.config.augment, size, samples.shape[2:], random),
                [torch.randn(2, count, *look.shape, generator=random, device=self.device) for look in self.looks],
                None if noise is None else noise[start : start + size],
            )
            for start in range(0, train.batch_size, size)
        ]

    def _autocast(self) -> contextlib.AbstractContextManager[None]:
        return torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32)

    # What a checkpoint holds: tensors by name, and counts.

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        counts = {"samples_seen": self.samples_seen, "rollbacks": self.rollbacks}
        return state.flatten(self._modules(), self._optimizers()), counts

    def restore(self, tensors: dict[str, Tensor], counts: dict[str, Any]) -> None:
        state.restore(tensors, self._modules(), self._optimizers())
        self.samples_seen, self.rollbacks = counts["samples_seen"], counts["rollbacks"]

    def _modules(self) -> dict[str, nn.Module]:
        return {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "ema": self.ema.model,
        }

    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"generator": self.optimizer_g, "discriminator": self.optimizer_d}


def _looks(patches: PatchCodec, discriminator: Discriminator) -> list[Look]:
    shape = patches.seen.sample_shape
    looks = [Look("", discriminator, patches.look, shape, 1.0)]
    if patches.close is not None:
        assert discriminator.close is not None
        part = patches.close.patches
        share = math.prod(part.sample_shape) / math.prod(shape)
        looks.append(Look("close/", discriminator.close, part.encode, part.sample_shape, share))
    return looks


class _Mean:
    """Weighted sums of detached means, by name."""

    def __init__(self) -> None:
        self.values: dict[str, Tensor] = {}

    def add(self, weight: float, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self.values[name] = self.values.get(name, 0) + weight * value.detach().float().mean()
