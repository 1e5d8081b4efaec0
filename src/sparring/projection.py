"""Projects real samples into the latent space of a GAN (GAN inversion), so that they can be edited.

Shapes: N samples, S random z to start from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.data.dataset import DataError, Dataset, printable
from sparring.data.spec import DataSpec
from sparring.data.vocabulary import clean
from sparring.modalities.registry import built_in_names, modality_of, open_dataset
from sparring.models.generator import Generator
from sparring.pretrained import GAN
from sparring.sampling import draw_z

STEPS, LR = 300, 0.2
PRIOR_WEIGHT = 0.3
"""Weight of the penalty on atypical z; each distance is 1 between a sample and a random one."""
STARTS, STARTS_PER_CONDITION = 512, 4
BATCH = 16


@dataclass(frozen=True)
class Found:
    """The projections of N samples. Errors are `codec.error`'s: mean squared errors (pixels in [-1, 1], series in
    standard deviations of their channels) or, for texts, the share of wrong tokens."""

    z: Tensor
    """(N, z_size), on the CPU."""
    condition: Tensor
    """(N, ...), zeros for a GAN without conditions."""
    samples: Any
    """Generated from z, as returned by `GAN.decode`."""
    errors: list[float]
    start_errors: list[float]
    """Errors of the random z that the optimization started from."""
    codec_errors: list[float]
    """Errors of the codec's reconstructions, about the lowest that a z can reach; 0 for patches."""

    @property
    def z_rms(self) -> list[float]:
        """The root mean square of each z: 1 is typical."""
        return self.z.square().mean(1).sqrt().tolist()


@dataclass(frozen=True)
class _Features:
    """The two representations that distances compare: latents, and features of the discriminator."""

    latents: Tensor
    features: Tensor

    @classmethod
    def of(cls, gan: GAN, latents: Tensor) -> "_Features":
        # One condition for all, so that samples of different conditions can be compared.
        condition = gan.spec.condition.spread(1).to(latents.device)
        critic = gan.critics[0]
        tokens = critic.view.tokenizer.patchify(critic.view(latents))
        features = critic.discriminator.features(tokens, condition.expand(len(tokens), *condition.shape[1:]))
        return cls(latents, features.unflatten(0, (len(latents), -1)))

    def both(self) -> tuple[Tensor, Tensor]:
        return self.latents.flatten(1), self.features.flatten(1)


# Karras et al. 2020 (StyleGAN2, "projection of images to latent space"), Abdal et al. 2019 (Image2StyleGAN): Adam on
# the latent, here z, with the discriminator's features instead of a classifier's.
def project(
    gan: GAN,
    samples: Tensor,
    *,
    condition: Any = None,
    steps: int = STEPS,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> Found:
    """Finds z (global and noise) and the condition of samples (N, *sample_shape) as returned by a `Dataset`.

    The optimization starts from the nearest, by the discriminator's features, of 512 random z, or of four per class if
    that is more. Without a `condition`, these take all classes (or the stored examples of vectors) in turn, and the
    nearest one's condition is kept. Each result is independent of the other samples. Raises `ConfigError` for an
    unknown condition.
    """
    count = max(STARTS, STARTS_PER_CONDITION * gan.spec.condition.turns)
    conditions = gan.spec.condition.parse(condition, count).to(gan.device)
    starts = draw_z(count, gan.generator.z_size, seed=seed).to(gan.device)
    samples = samples.to(gan.device)
    with torch.no_grad():
        targets = [_Features.of(gan, gan.codec.encode(part)) for part in samples.split(BATCH)]
        distances = _distances(gan, starts, conditions, targets)
    scales, nearest = distances.mean(2), distances[1].argmin(1)
    first, found = starts[nearest], conditions[nearest]
    start_errors = _errors(gan, samples, _latents(gan, first, found))
    report(f"{len(samples)} samples compared with {count} random ones")
    parts = []
    for index, target in enumerate(targets):
        batch = slice(index * BATCH, (index + 1) * BATCH)
        name = f"samples {batch.start + 1} to {min(batch.stop, len(samples))} of {len(samples)}"
        parts.append(_optimize(gan, first[batch], found[batch], target, scales[:, batch], steps, name, report))
    z = torch.cat(parts)
    latents = _latents(gan, z, found)
    return Found(
        z=z.cpu(),
        condition=found.cpu(),
        samples=gan.modality.to_user(_decode(gan, latents), gan.spec),
        errors=_errors(gan, samples, latents),
        start_errors=start_errors,
        codec_errors=_errors(gan, samples, torch.cat([target.latents for target in targets])),
    )


def _distances(gan: GAN, starts: Tensor, conditions: Tensor, targets: list[_Features]) -> Tensor:
    """Mean squared differences of latents and of features between each sample and each start: (2, N, S)."""
    columns = []
    for z, condition in zip(starts.split(BATCH), conditions.split(BATCH), strict=True):
        start = _Features.of(gan, _generate(gan, z, condition)).both()
        rows = [
            [torch.cdist(*pair).square() / pair[0].shape[1] for pair in zip(t.both(), start, strict=True)]
            for t in targets
        ]
        columns.append(torch.cat([torch.stack(row) for row in rows], 1))
    return torch.cat(columns, 2)


@torch.enable_grad()
def _optimize(
    gan: GAN,
    z: Tensor,
    conditions: Tensor,
    target: _Features,
    scales: Tensor,
    steps: int,
    name: str,
    report: Callable[[str], None],
) -> Tensor:
    """Optimizes z (B, z_size); keeps the start where the distance did not fall. `scales` (2, B) are the mean distances
    of random samples."""

    def distance_of(z: Tensor) -> Tensor:
        current = _Features.of(gan, _generate(gan, z, conditions))
        pairs = zip(current.both(), target.both(), scales, strict=True)
        return sum(((found - wanted).square().mean(1) / scale for found, wanted, scale in pairs), z.new_zeros(()))

    start, z = z, z.clone().requires_grad_()
    adam = torch.optim.Adam([z], lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for step in range(1, steps + 1):
        distance = distance_of(z)
        adam.zero_grad()
        (distance + PRIOR_WEIGHT * _prior_loss(gan.generator, z)).sum().backward()
        adam.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            report(f"{name}: step {step} of {steps}, distance {distance.mean():.3g} (random samples: 2)")
    with torch.no_grad():
        worse = distance_of(start) < distance_of(z)  # a generated sample's own z may be the start
    return torch.where(worse[:, None], start, z.detach())


def _prior_loss(generator: Generator, z: Tensor) -> Tensor:
    """Squared deviation of the mean squares from 1, their mean under the prior, for global z and noise: (B,)."""
    global_z, noise = generator.split(z)
    parts = [part for part in (global_z[:, None], noise) if part.shape[-1]]
    return torch.stack([(part.square().mean(2) - 1).square().mean(1) for part in parts]).sum(0)


def _generate(gan: GAN, z: Tensor, conditions: Tensor) -> Tensor:
    """z (B, z_size), conditions (B, ...) -> latents (B, *latent_shape)."""
    return gan.codec.unpatchify(gan.generator(z, conditions))


@torch.no_grad()
def _latents(gan: GAN, z: Tensor, conditions: Tensor) -> Tensor:
    """`_generate` in batches."""
    pairs = zip(z.split(BATCH), conditions.split(BATCH), strict=True)
    return torch.cat([_generate(gan, *pair) for pair in pairs])


@torch.no_grad()
def _decode(gan: GAN, latents: Tensor) -> Tensor:
    return torch.cat([gan.codec.decode(part) for part in latents.split(BATCH)])


def _errors(gan: GAN, samples: Tensor, latents: Tensor) -> list[float]:
    pairs = zip(samples.split(1), _decode(gan, latents).split(1), strict=True)
    return [gan.codec.error(*pair) for pair in pairs]


def open_samples(gan: GAN, path: str, num: int) -> tuple[Tensor, list[int]]:
    """`num` samples (N, *sample_shape) for `project` from a data set or a single picture, and their indices in it.

    The run's settings apply: series are scaled and texts tokenized as in training (long texts are cut). Samples are
    evenly spaced, from the held-out part if there is one. Raises `DataError` for another kind or shape of data.
    """
    spec, modality = gan.spec, gan.modality
    kind = _kind(spec)
    try:
        if modality.opening.holds_values(path):
            values = [*filter(None, map(clean, modality.opening.values(path, gan.config.data.to_dict())))]
            places = _spread(path, len(values), num)
            return modality.to_model([values[place] for place in places], spec), places
        source = _open(gan, path)
    except DataError as error:
        if path not in built_in_names() and not Path(path).exists():
            raise
        raise DataError(f"{path} cannot be read as {kind}, which this GAN generates: {error}") from error
    source = source.held_out or source
    other, places, stored = DataSpec.of(source), _spread(path, len(source), num), None
    other_modality = modality_of(other)
    if other.modality == spec.modality:
        values = other_modality.to_user(source.batch(torch.tensor(places))[0], other)
        stored = modality.adapted(values, other, spec)
    if stored is None:
        notes = other_modality.opening.notes(source)
        raise DataError(
            f"{path} holds {_kind(other)}, and this GAN generates {kind}" + (f" ({notes})" if notes else "")
        )
    return stored, places


def _kind(spec: DataSpec) -> str:
    kind = modality_of(spec).page.description(spec)
    return f"{kind} ({printable(', '.join(spec.channel_names))})" if spec.channel_names else kind


def _spread(path: str, count: int, num: int) -> list[int]:
    if not count:
        raise DataError(f"{path} holds no text")
    return torch.linspace(0, count - 1, min(num, count)).long().tolist()


def _open(gan: GAN, path: str) -> Dataset:
    """Opens data with the run's settings; unset ones follow from the shape of the GAN's samples."""
    opening = gan.modality.opening
    options = opening.options_for(gan.spec, gan.config.data.to_dict()) | gan.config.data.elsewhere(path)
    few = opening.open_few(path, options)
    return open_dataset(**options) if few is None else few
