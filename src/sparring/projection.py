"""Real samples among those that a GAN can make: the z from which it makes them again, so that they can be edited.

Shapes: N samples, S random starts.
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
TYPICAL = 0.3
"""Weight of z's typicality, beside distances that are 1 between a sample and a random one."""
STARTS, STARTS_PER_CONDITION = 512, 4
BATCH = 16  # samples at a time


@dataclass(frozen=True)
class Found:
    """What was found for N samples. Errors are `codec.error`'s: mean squares of what the networks see (pixels in
    [-1, 1], series in standard deviations of their channels), of texts the share of symbols that differ."""

    z: Tensor
    """(N, z_size), on the CPU."""
    condition: Tensor
    """(N, ...), zeros for a GAN without conditions."""
    samples: Any
    """What z makes, as `GAN.decode` gives it."""
    errors: list[float]
    start_errors: list[float]
    """Of the random z that each was looked for from."""
    codec_errors: list[float]
    """Of what the codec makes of the samples themselves, which is about as near as a z can get; 0 for patches."""

    @property
    def z_rms(self) -> list[float]:
        """The root mean square of each z: 1 is typical."""
        return self.z.square().mean(1).sqrt().tolist()


@dataclass(frozen=True)
class _Seen:
    """Samples as distances see them: their latents, and the features that the discriminator judges them by."""

    latents: Tensor
    features: Tensor

    @classmethod
    def of(cls, gan: GAN, latents: Tensor) -> "_Seen":
        # All are seen under one condition, so that samples of different ones can be compared.
        condition = gan.spec.condition.spread(1).to(latents.device)
        condition = condition.expand(len(latents), *condition.shape[1:])
        critic = gan.critics[0]
        tokens = critic.view.tokenizer.patchify(critic.view(latents))
        return cls(latents, critic.discriminator.features(tokens, condition))

    def both(self) -> tuple[Tensor, Tensor]:
        return self.latents.flatten(1), self.features.flatten(1)


# As Karras et al. 2020 (StyleGAN2, "projection of images to latent space") and Abdal et al. 2019 (Image2StyleGAN): Adam
# on the latent, here z itself, with the discriminator's features in place of a classifier's.
def project(
    gan: GAN,
    samples: Tensor,
    *,
    condition: Any = None,
    steps: int = STEPS,
    seed: int = 0,
    report: Callable[[str], None] = lambda line: None,
) -> Found:
    """The z, global and noise, and the condition of samples (N, *sample_shape) as a `Dataset` gives them.

    Each is looked for from the nearest, by the discriminator's features, of 512 random z, or with many classes four a
    class. Without a `condition` the classes, or the stored examples of numbers, take turns among these, and the nearest
    one's is kept. What is found does not depend on the other samples. Raises `ConfigError` for a condition that does
    not exist.
    """
    count = max(STARTS, STARTS_PER_CONDITION * gan.spec.condition.turns)
    conditions = gan.spec.condition.parse(condition, count).to(gan.device)
    starts = draw_z(count, gan.generator.z_size, seed=seed).to(gan.device)
    samples = samples.to(gan.device)
    with torch.no_grad():
        targets = [_Seen.of(gan, gan.codec.encode(part)) for part in samples.split(BATCH)]
        apart = _distances(gan, starts, conditions, targets)
    scales, nearest = apart.mean(2), apart[1].argmin(1)
    first, found = starts[nearest], conditions[nearest]
    start_errors = _errors(gan, samples, _latents(gan, first, found))
    report(f"{len(samples)} samples compared with {count} random ones")
    parts = []
    for index, target in enumerate(targets):
        here = slice(index * BATCH, (index + 1) * BATCH)
        name = f"samples {here.start + 1} to {min(here.stop, len(samples))} of {len(samples)}"
        parts.append(_descend(gan, first[here], found[here], target, scales[:, here], steps, name, report))
    z = torch.cat(parts)
    latents = _latents(gan, z, found)
    return Found(
        z=z.cpu(),
        condition=found.cpu(),
        samples=gan.modality.to_user(_expanded(gan, latents), gan.spec),
        errors=_errors(gan, samples, latents),
        start_errors=start_errors,
        codec_errors=_errors(gan, samples, torch.cat([target.latents for target in targets])),
    )


def _distances(gan: GAN, starts: Tensor, conditions: Tensor, targets: list[_Seen]) -> Tensor:
    """Mean squared differences, in latents and in features, of each sample and each start: (2, N, S)."""
    columns = []
    for z, condition in zip(starts.split(BATCH), conditions.split(BATCH), strict=True):
        start = _Seen.of(gan, _made(gan, z, condition)).both()
        rows = [
            [torch.cdist(*pair).square() / pair[0].shape[1] for pair in zip(t.both(), start, strict=True)]
            for t in targets
        ]
        columns.append(torch.cat([torch.stack(row) for row in rows], 1))
    return torch.cat(columns, 2)


@torch.enable_grad()
def _descend(
    gan: GAN,
    z: Tensor,
    conditions: Tensor,
    target: _Seen,
    scales: Tensor,
    steps: int,
    name: str,
    report: Callable[[str], None],
) -> Tensor:
    """z (B, z_size) after so many steps towards samples, or as they were where these lead away from them; `scales`
    (2, B) is how far random ones are."""

    def distance_of(z: Tensor) -> Tensor:
        seen = _Seen.of(gan, _made(gan, z, conditions))
        pairs = zip(seen.both(), target.both(), scales, strict=True)
        return sum(((found - wanted).square().mean(1) / scale for found, wanted, scale in pairs), z.new_zeros(()))

    start, z = z, z.clone().requires_grad_()
    adam = torch.optim.Adam([z], lr=LR)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(adam, steps)
    for step in range(1, steps + 1):
        distance = distance_of(z)
        adam.zero_grad()
        (distance + TYPICAL * _untypical(gan.generator, z)).sum().backward()
        adam.step()
        schedule.step()
        if step % 100 == 0 or step == steps:
            report(f"{name}: step {step} of {steps}, distance {distance.mean():.3g} (of random ones: 2)")
    with torch.no_grad():
        away = distance_of(start) < distance_of(z)  # the start may be the very z that made the sample
    return torch.where(away[:, None], start, z.detach())


def _untypical(generator: Generator, z: Tensor) -> Tensor:
    """How far mean squares are from 1, which random z have: of the global z, and of each token's noise; (B,)."""
    global_z, noise = generator.split(z)
    parts = [part for part in (global_z[:, None], noise) if part.shape[-1]]
    return torch.stack([(part.square().mean(2) - 1).square().mean(1) for part in parts]).sum(0)


def _made(gan: GAN, z: Tensor, conditions: Tensor) -> Tensor:
    """z (B, z_size), conditions (B, ...) -> latents (B, *latent_shape)."""
    return gan.codec.unpatchify(gan.generator(z, conditions))


@torch.no_grad()
def _latents(gan: GAN, z: Tensor, conditions: Tensor) -> Tensor:
    """`_made`, a batch at a time."""
    pairs = zip(z.split(BATCH), conditions.split(BATCH), strict=True)
    return torch.cat([_made(gan, *pair) for pair in pairs])


@torch.no_grad()
def _expanded(gan: GAN, latents: Tensor) -> Tensor:
    return torch.cat([gan.codec.decode(part) for part in latents.split(BATCH)])


def _errors(gan: GAN, samples: Tensor, latents: Tensor) -> list[float]:
    pairs = zip(samples.split(1), _expanded(gan, latents).split(1), strict=True)
    return [gan.codec.error(*pair) for pair in pairs]


def open_samples(gan: GAN, path: str, num: int) -> tuple[Tensor, list[int]]:
    """`num` samples (N, *sample_shape) of anything that data may be, or of one picture, as `project` takes them, and
    their places in it.

    They are read with the run's own settings, series scaled and texts numbered as the GAN's are (what is too long is
    cut), and spread evenly over what there is, or what it holds out. Raises `DataError` for another kind or shape.
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
        raise DataError(f"{path} cannot be read as {kind}, which this GAN makes: {error}") from error
    source = source.held_out or source
    other, places, stored = DataSpec.of(source), _spread(path, len(source), num), None
    theirs = modality_of(other)
    if other.modality == spec.modality:
        values = theirs.to_user(source.batch(torch.tensor(places))[0], other)
        stored = modality.adapted(values, other, spec)
    if stored is None:
        notes = theirs.opening.notes(source)
        raise DataError(f"{path} holds {_kind(other)}, and this GAN makes {kind}" + (f" ({notes})" if notes else ""))
    return stored, places


def _kind(spec: DataSpec) -> str:
    kind = modality_of(spec).page.description(spec)
    return f"{kind} ({printable(', '.join(spec.channel_names))})" if spec.channel_names else kind


def _spread(path: str, count: int, num: int) -> list[int]:
    if not count:
        raise DataError(f"{path} holds no text")
    return torch.linspace(0, count - 1, min(num, count)).long().tolist()


def _open(gan: GAN, path: str) -> Dataset:
    """Opens with the run's settings; the shape of its samples gives those that are left unset."""
    opening = gan.modality.opening
    options = opening.options_for(gan.spec, gan.config.data.to_dict()) | gan.config.data.elsewhere(path)
    few = opening.open_few(path, options)
    return open_dataset(**options) if few is None else few
