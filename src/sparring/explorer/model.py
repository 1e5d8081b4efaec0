"""A run's newest weights: points in, samples out."""

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

NUMBERS = 2**22
"""Of samples that are made at once."""


class PointError(ValueError):
    """A point that this run does not have."""


class Stopped(RuntimeError):
    """The explorer ends, and with it what is under way."""


class Model:
    """A run's GAN, loaded anew whenever its file has changed. Not for two threads at a time."""

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
        """Whether to end what is under way: asked between batches."""
        self._directions: Tensor | None = None
        self._warm = False

    def refresh(self) -> None:
        """Loads weights that are newer; those of another kind of run, or half copied, are let be."""
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
        """(sliders, z_size) on the CPU; found when first asked for, which takes a second or a few."""
        if self._directions is None:
            self._directions = directions(self.gan.generator, self.sliders, between=self._go_on).cpu()
        return self._directions

    def warm(self) -> None:
        """Finds the directions ahead of their first use; once, as weights that still train change them often."""
        if not self._warm:
            self._warm = True
            _ = self.directions

    def _go_on(self) -> None:
        if self.stopping():
            raise Stopped("the explorer is ending")

    def samples(self, points: Sequence[Drawn | Projected | Mixture]) -> Any:
        """A sample for each point, as `GAN.sample` gives them; raises `PointError`."""
        self.refresh()
        z = torch.stack([self._z(point) for point in points]).to(self.gan.device)
        ends = [point.nearer if isinstance(point, Mixture) else point for point in points]
        conditions = torch.cat([self._condition(end) for end in ends]).to(self.gan.device)
        made: list[Any] = [None] * len(points)
        most = max(1, NUMBERS // math.prod(self.gan.spec.sample_shape))
        for psi in {end.psi for end in ends}:
            alike = [place for place, end in enumerate(ends) if end.psi == psi]
            for start in range(0, len(alike), most):
                self._go_on()
                places = alike[start : start + most]
                for place, sample in zip(places, self.gan.decode(z[places], conditions[places], psi), strict=True):
                    made[place] = sample
        return self.gan.modality.stacked(made)

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
            raise PointError(f"a point here has {self.sliders} offsets at most, not {len(point.offsets)}")
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
    """Differs after a file was written anew; None where there is none."""
    try:
        facts = file.stat()
    except OSError:
        return None
    return facts.st_mtime_ns, facts.st_ino, facts.st_size
