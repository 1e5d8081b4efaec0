"""A run's newest weights: maps points to samples."""

import contextlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring.config import ConfigError
from sparring.directions import COUNT, directions
from sparring.explorer.points import Drawn, Mixture, Projected
from sparring.latents import read_latents
from sparring.pretrained import CheckpointError, find_run, load, run_title
from sparring.sampling import between, draw_z

Stamp = tuple[int, int, int]

BATCH_NUMBERS = 2**22
"""Maximum number of values in one batch of samples."""


class PointError(ValueError):
    """A point that this run does not have."""


class Stopped(RuntimeError):
    """The explorer is shutting down."""


class Model:
    """A run's GAN, reloaded whenever its file has changed. Not thread-safe."""

    def __init__(self, run: str | Path, *, device: str = "auto", seed: int = 0, latents: Path | None = None) -> None:
        self.title, self.folder = run_title(run), find_run(run)
        self.device, self.seed = device, seed
        self.file = self.folder / "model.safetensors"
        self.stamp = stamp(self.file)
        self.gan = load(self.folder, device)
        size = self.gan.generator.z_size
        self.starts, self.conditions = torch.empty(0, size), self.gan.spec.condition.spread(0)
        if latents is not None:
            self.starts, self.conditions = read_latents(latents, self.gan)
        self.sliders = min(COUNT, size)
        self.stopping: Callable[[], bool] = lambda: False
        """Whether to stop; called between batches."""
        self._directions: Tensor | None = None
        self._warm = False

    def refresh(self) -> None:
        """Loads newer weights; ignores incomplete files and weights of a run with other data."""
        now = stamp(self.file)
        if now is None or now == self.stamp:
            return
        self.stamp = now
        with contextlib.suppress(CheckpointError, ConfigError):
            gan = load(self.folder, self.device)
            if gan.spec.like(self.gan.spec) and gan.generator.z_size == self.gan.generator.z_size:
                self.gan, self._directions = gan, None

    @property
    def directions(self) -> Tensor:
        """(sliders, z_size) on the CPU; computed at first use, which takes a few seconds."""
        if self._directions is None:
            self._directions = directions(self.gan.generator, self.sliders, between=self._check_stop).cpu()
        return self._directions

    def warm(self) -> None:
        """Computes the directions ahead of their first use; only once, as weights in training change them often."""
        if not self._warm:
            self._warm = True
            _ = self.directions

    def _check_stop(self) -> None:
        if self.stopping():
            raise Stopped("the explorer is shutting down")

    def samples(self, points: Sequence[Drawn | Projected | Mixture]) -> Any:
        """A sample for each point, as `GAN.sample` gives them; raises `PointError`."""
        self.refresh()
        z = torch.stack([self._z(point) for point in points]).to(self.gan.device)
        ends = [point.nearer if isinstance(point, Mixture) else point for point in points]
        conditions = torch.cat([self._condition(end) for end in ends]).to(self.gan.device)
        samples: list[Any] = [None] * len(points)
        batch_size = max(1, BATCH_NUMBERS // math.prod(self.gan.spec.sample_shape))
        for psi in {end.psi for end in ends}:
            same_psi = [place for place, end in enumerate(ends) if end.psi == psi]
            for start in range(0, len(same_psi), batch_size):
                self._check_stop()
                places = same_psi[start : start + batch_size]
                for place, sample in zip(places, self.gan.decode(z[places], conditions[places], psi), strict=True):
                    samples[place] = sample
        return self.gan.modality.stacked(samples)

    def _z(self, point: Drawn | Projected | Mixture) -> Tensor:
        """(z_size,) on the CPU."""
        if isinstance(point, Mixture):
            return between(self._z(point.start), self._z(point.end), point.t)
        if isinstance(point, Projected):
            if point.latent >= len(self.starts):
                raise PointError(f"there is no projected sample {point.latent}: there are {len(self.starts)}")
            z = self.starts[point.latent]
        else:
            z = draw_z(1, self.gan.generator.z_size, seed=point.seed, start=point.index)[0]
        if len(point.offsets) > self.sliders:
            raise PointError(f"a point has at most {self.sliders} offsets, not {len(point.offsets)}")
        if any(point.offsets):
            z = z + torch.tensor(point.offsets) @ self.directions[: len(point.offsets)]
        return z

    def _condition(self, point: Drawn | Projected) -> Tensor:
        """(1, ...) on the CPU."""
        kind = self.gan.spec.condition
        if point.condition is None:
            if isinstance(point, Projected):
                return self.conditions[point.latent, None]
            return kind.spread(1, point.index)
        try:
            return kind.parse(point.condition, 1)
        except ConfigError as error:
            raise PointError(str(error)) from None


def stamp(file: Path) -> Stamp | None:
    """Identifies one version of a file; None if the file does not exist."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size
