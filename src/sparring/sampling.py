"""Where samples come from: seeds, classes, truncation, walks through z."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from sparring.config import ConfigError
from sparring.data.order import derive_seed
from sparring.models.generator import Generator

MEAN_SAMPLES = 1_000


def draw_z(num: int, size: int, *, seed: int, start: int = 0) -> Tensor:
    """z of the samples `start` to `start + num` of a seed, (num, size): each from a stream of its own."""
    rows = []
    for index in range(start, start + num):
        generator = torch.Generator().manual_seed(derive_seed(seed, "z", index))
        rows.append(torch.randn(size, generator=generator))
    return torch.stack(rows)


def class_indices(
    wanted: int | str | Sequence[int | str] | Tensor | None, num: int, class_names: Sequence[str]
) -> Tensor:
    """Class numbers (num,) from numbers or names, one for all or one for each; None takes the classes in turn."""
    if not class_names:
        if wanted is not None:
            raise ConfigError("this GAN was trained without classes: drop the class")
        return torch.zeros(num, dtype=torch.long)
    if wanted is None:
        return torch.arange(num) % len(class_names)
    if isinstance(wanted, Tensor):
        wanted = wanted.tolist()
    values = [wanted] * num if isinstance(wanted, int | str) else list(wanted)
    if len(values) != num:
        raise ConfigError(f"{len(values)} classes were given for {num} samples: give one, or one for each")
    return torch.tensor([_class_index(value, class_names) for value in values], dtype=torch.long)


def _class_index(value: int | str, class_names: Sequence[str]) -> int:
    if isinstance(value, str) and value in class_names:
        return class_names.index(value)
    if str(value).isdecimal() and int(value) < len(class_names):
        return int(value)
    shown = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
    raise ConfigError(f"there is no class {value}; the classes are {shown}")


@torch.inference_mode()
def mean_w(generator: Generator, class_labels: Tensor) -> Tensor:
    """The mean of w over z for each label, (B,) -> (B, parts · width); what truncation pulls toward."""
    classes, place = class_labels.unique(return_inverse=True)
    z = draw_z(MEAN_SAMPLES, generator.z_dim, seed=0).to(class_labels.device)
    means = [generator.mapping(z, label.expand(MEAN_SAMPLES)).mean(0) for label in classes]
    return torch.stack(means)[place]


def interpolate(steps: int, num: int, size: int, *, seed: int, stops: int = 4) -> Iterator[Tensor]:
    """A closed walk through `stops` draws of z: `steps` times (num, size), each standard normal."""
    anchors = [draw_z(num, size, seed=seed, start=stop * num) for stop in range(stops)]
    for step in range(steps):
        place, t = divmod(step * stops / steps, 1)
        yield between(anchors[int(place)], anchors[(int(place) + 1) % stops], t)


def between(here: Tensor, there: Tensor, t: float) -> Tensor:
    """The way from one z to another, `here` at 0 and `there` at 1.

    Of two independent draws, cos(a) z1 + sin(a) z2 keeps the distribution, unlike a straight line.
    """
    if t == 1:  # cos(π / 2) is not quite 0
        return there
    return math.cos(t * math.pi / 2) * here + math.sin(t * math.pi / 2) * there
