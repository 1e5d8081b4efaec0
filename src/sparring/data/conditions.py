"""Conditions: additional inputs of generator and discriminator, such as the class of a sample.

A batch of conditions is one tensor: class numbers (B,) or vectors (B, K). `Condition` defines their embedding, their
similarity and their notation for users. A new kind of condition is a further subclass in `CONDITIONS`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from sparring.settings import ConfigError


class Condition(ABC):
    """The description of a condition, stored with the weights; networks create their own modules from it."""

    kind: ClassVar[str]
    option: ClassVar[str] = ""
    """Its command-line option."""
    noun: ClassVar[str] = "classes"
    names: tuple[str, ...]
    """Names of the classes, or of the vectors' components."""
    size: int
    """Number of classes, or of the vectors' components; the number of outputs of the projection discriminator."""

    @abstractmethod
    def embedding(self, width: int) -> nn.Module | None:
        """A module from conditions (B, ...) to (B, width); None without conditions."""

    @abstractmethod
    def tokens(self, width: int) -> nn.Module:
        """The module of the discriminator's class token, (B, ...) -> (B, width); it has a `weight`."""

    @abstractmethod
    def inner(self, scores: Tensor, condition: Tensor) -> Tensor:
        """The inner product of scores (B, size) and conditions (B, ...): (B,)."""

    @abstractmethod
    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        """The similarity (A, B) of conditions (A, ...) and (B, ...), from 0 to 1 for equal ones."""

    @abstractmethod
    def spread(self, num: int, start: int = 0) -> Tensor:
        """Default conditions of the samples `start` to `start + num`: all classes, or examples, in turn."""

    @property
    @abstractmethod
    def turns(self) -> int:
        """Number of different conditions in `spread`."""

    @abstractmethod
    def table(self) -> Tensor | None:
        """All conditions, indexed by class number; None if there are infinitely many."""

    @abstractmethod
    def parse(self, wanted: Any, num: int) -> Tensor:
        """Conditions of `num` samples from user input, one for all or one for each; `spread` for None.

        Raises `ConfigError` for unknown conditions.
        """

    @abstractmethod
    def spell(self, condition: Tensor) -> str:
        """A single condition as a string; the inverse of `parse`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Empty unless conditions are classes."""
        return ()

    @property
    def summary(self) -> str:
        return f"{self.size} {self.noun}"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class Unconditional(Condition):
    """No condition, represented by zeros (B,)."""

    kind = "none"
    names = ()
    size = 0
    turns = 1

    def embedding(self, width: int) -> None:
        return None

    def tokens(self, width: int) -> nn.Module:
        return nn.Embedding(1, width)

    def inner(self, scores: Tensor, condition: Tensor) -> Tensor:
        return scores.sum(1)

    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        return first[:, None] == second

    def spread(self, num: int, start: int = 0) -> Tensor:
        return torch.zeros(num, dtype=torch.long)

    def table(self) -> Tensor:
        return self.spread(1)

    def parse(self, wanted: Any, num: int) -> Tensor:
        """Accepts None and the zeros of `spread`."""
        if wanted is None or (isinstance(wanted, Tensor) and torch.equal(wanted.cpu(), self.spread(num))):
            return self.spread(num)
        raise ConfigError("this GAN was trained without classes and other conditions: drop the condition")

    def spell(self, condition: Tensor) -> str:
        return ""


@dataclass(frozen=True)
class Classes(Condition):
    """One of several classes. Conditions are class numbers (B,), int64."""

    names: tuple[str, ...]
    kind = "classes"
    option = "--class"

    def __post_init__(self) -> None:
        if not self.names or not all(isinstance(name, str) for name in self.names):
            raise ValueError("every class needs a name")

    @property
    def size(self) -> int:  # type: ignore[override]
        return len(self.names)

    def embedding(self, width: int) -> nn.Module:
        return nn.Embedding(self.size, width)

    def tokens(self, width: int) -> nn.Module:
        return nn.Embedding(self.size, width)

    def inner(self, scores: Tensor, condition: Tensor) -> Tensor:
        return scores.gather(1, condition[:, None]).squeeze(1)

    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        return first[:, None] == second

    def spread(self, num: int, start: int = 0) -> Tensor:
        return torch.arange(start, start + num) % self.size

    @property
    def turns(self) -> int:
        return self.size

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.names

    def table(self) -> Tensor:
        return torch.arange(self.size)

    def spell(self, condition: Tensor) -> str:
        return self.names[int(condition)]

    def parse(self, wanted: int | str | Sequence[int | str] | Tensor | None, num: int) -> Tensor:
        if wanted is None:
            return self.spread(num)
        if isinstance(wanted, Tensor):
            wanted = wanted.tolist()
        values = [wanted] * num if isinstance(wanted, int | str) else list(wanted)
        if len(values) != num:
            raise ConfigError(f"{len(values)} classes were given for {num} samples: give one, or one for each")
        return torch.tensor([self._number(value) for value in values], dtype=torch.long)

    def _number(self, value: int | str) -> int:
        if isinstance(value, str) and value in self.names:
            return self.names.index(value)
        if str(value).isdecimal() and int(value) < self.size:
            return int(value)
        shown = ", ".join(self.names[:20]) + (", ..." if self.size > 20 else "")
        raise ConfigError(f"there is no class {value}; the classes are {shown}")


@dataclass(frozen=True)
class Vectors(Condition):
    """K numbers per sample: columns of a table, or an embedding. Conditions are (B, K), float32, in their own units.

    Networks standardise them by `mean` and `scale`. `examples` are conditions from the data, the default of `spread`.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    examples: tuple[tuple[float, ...], ...]
    kind = "vectors"
    option = "--condition"
    noun = "conditions"

    FEWEST_EXAMPLES: ClassVar[int] = 16
    EXAMPLE_NUMBERS: ClassVar[int] = 256

    def __post_init__(self) -> None:
        rows = (self.mean, self.scale, *self.examples)
        if not self.names or not self.examples or any(len(row) != len(self.names) for row in rows):
            raise ValueError("conditions need a name, a mean, a scale and examples for each number")
        if not all(isinstance(name, str) for name in self.names) or min(self.scale) <= 0:
            raise ValueError("names of conditions must be strings, and scales above 0")
        if not all(math.isfinite(number) for row in rows for number in row):
            raise ValueError("conditions must be finite numbers")

    @classmethod
    def fit(cls, values: Tensor, names: Sequence[str] = ()) -> "Vectors":
        """Fits mean, scale and examples to conditions (N, K)."""
        if not values.isfinite().all():
            raise ValueError("conditions must be finite numbers: fill the gaps or drop those samples")
        spread = values.std(0, correction=0)
        # In random order, so that the first few, which a page shows, represent all.
        order = torch.randperm(len(values), generator=torch.Generator().manual_seed(0))
        chosen = order[: max(cls.FEWEST_EXAMPLES, cls.EXAMPLE_NUMBERS // values.shape[1])]
        return cls(
            tuple(names) or tuple(f"condition {index}" for index in range(1, values.shape[1] + 1)),
            tuple(values.mean(0).tolist()),
            tuple(spread.where(spread > 0, 1).tolist()),
            tuple(tuple(row) for row in values[chosen].tolist()),
        )

    @property
    def size(self) -> int:  # type: ignore[override]
        return len(self.names)

    def standardized(self, condition: Tensor) -> Tensor:
        mean, scale = condition.new_tensor(self.mean), condition.new_tensor(self.scale)
        return (condition - mean) / scale

    def embedding(self, width: int) -> nn.Module:
        return _LinearOfVectors(self, width)

    def tokens(self, width: int) -> nn.Module:
        return _LinearOfVectors(self, width)

    def inner(self, scores: Tensor, condition: Tensor) -> Tensor:
        return (scores * self.standardized(condition)).sum(1) * self.size**-0.5

    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        """A Gaussian kernel (Ding et al. 2021, CcGAN)."""
        a, b = self.standardized(first), self.standardized(second)
        square = (a[:, None] - b).square().mean(2)
        return (-square / (2 * BANDWIDTH**2)).exp()

    def spread(self, num: int, start: int = 0) -> Tensor:
        return torch.tensor(self.examples)[torch.arange(start, start + num) % self.turns]

    @property
    def turns(self) -> int:
        return len(self.examples)

    def table(self) -> None:
        return None

    def spell(self, condition: Tensor) -> str:
        return ",".join(f"{number:.6g}" for number in condition.tolist())

    def parse(
        self, wanted: str | float | Sequence[float] | Sequence[Sequence[float]] | Tensor | None, num: int
    ) -> Tensor:
        """A single condition may be a string, "0.3,1.2", or a number if K is 1."""
        if wanted is None:
            return self.spread(num)
        try:
            numbers = numbers_in(wanted) if isinstance(wanted, str) else wanted
            values = torch.as_tensor(numbers, dtype=torch.float32)
        except (TypeError, ValueError, RuntimeError):
            values = torch.empty(0)
        if values.ndim == 0:
            values = values[None]
        if values.shape == (self.size,):
            values = values.expand(num, -1)
        elif values.shape == (num,) and self.size == 1:
            values = values[:, None]
        if values.shape != (num, self.size) or not values.isfinite().all():
            named = ", ".join(self.names[:5]) + ", ..." * (self.size > 5)
            raise ConfigError(
                f"this GAN's condition is {self.size} finite number(s) ({named}): give one for all samples, or "
                f"one for each of {num}"
            )
        return values


def numbers_in(text: str) -> list[float]:
    """The numbers of "0.3,1.2" or "0.3 1.2"; raises `ValueError` with the text if it holds none or anything else."""
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if not numbers:
        raise ValueError(text)
    return numbers


BANDWIDTH = 0.25
"""Width of the kernel, in standard deviations of a condition."""


class _LinearOfVectors(nn.Module):
    """Standardises vectors (B, K) and maps them to (B, width)."""

    mean: Tensor
    scale: Tensor

    def __init__(self, vectors: Vectors, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(vectors.size, width)
        self.register_buffer("mean", torch.tensor(vectors.mean), persistent=False)
        self.register_buffer("scale", torch.tensor(vectors.scale) * vectors.size**0.5, persistent=False)

    @property
    def weight(self) -> Tensor:
        return self.linear.weight

    def forward(self, condition: Tensor) -> Tensor:
        return self.linear((condition - self.mean) / self.scale)


CONDITIONS: dict[str, type[Condition]] = {kind.kind: kind for kind in (Unconditional, Classes, Vectors)}


def condition_from_dict(values: dict[str, Any]) -> Condition:
    """The inverse of `Condition.to_dict`; raises `ConfigError` or `ValueError` for anything else."""
    if values.get("kind") not in CONDITIONS:
        known = ", ".join(CONDITIONS)
        raise ConfigError(
            f"there is no condition {values.get('kind')}, only {known}: import the module that registers it"
        )

    def frozen(value: Any) -> Any:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return CONDITIONS[values["kind"]](**{name: frozen(value) for name, value in values.items() if name != "kind"})
