"""Conditions: facts of a sample that generator and discriminator are told, such as its class.

A batch of conditions is one tensor, (B,) class numbers or (B, K) numbers. `Condition` says how networks embed it, when
two samples count as alike, and how a person names it. Another kind of condition is one more subclass in `CONDITIONS`.
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
    """The description of a condition, stored with the weights; its modules are made by the networks that use it."""

    kind: ClassVar[str]
    option: ClassVar[str] = ""
    """The command line's option for it."""
    noun: ClassVar[str] = "classes"
    names: tuple[str, ...]
    """Of the classes, or of the numbers."""
    size: int
    """Weights that the discriminator learns for each of its features: one for each class, or for each number."""

    @abstractmethod
    def embedding(self, width: int) -> nn.Module | None:
        """A module from conditions (B, ...) to (B, width); None where there is nothing to embed."""

    @abstractmethod
    def tokens(self, width: int) -> nn.Module:
        """The module that makes the discriminator's class token, (B, ...) -> (B, width); it has a `weight`."""

    @abstractmethod
    def inner(self, scores: Tensor, condition: Tensor) -> Tensor:
        """Scores (B, size) weighted by conditions (B, ...): (B,)."""

    @abstractmethod
    def similarity(self, first: Tensor, second: Tensor) -> Tensor:
        """How alike conditions (A, ...) and (B, ...) are: (A, B), 1 for the same, 0 for unlike."""

    @abstractmethod
    def spread(self, num: int, start: int = 0) -> Tensor:
        """Conditions of the samples `start` to `start + num` where nobody chooses: all kinds in turn."""

    @property
    @abstractmethod
    def turns(self) -> int:
        """How many conditions `spread` takes in turn."""

    @abstractmethod
    def table(self) -> Tensor | None:
        """All conditions there are, at the places that they are the numbers of; None where they are countless."""

    @abstractmethod
    def parse(self, wanted: Any, num: int) -> Tensor:
        """Conditions of `num` samples as a person writes them: one for all, or one for each; None: `spread`.

        Raises `ConfigError` for what does not exist.
        """

    @abstractmethod
    def spell(self, condition: Tensor) -> str:
        """A single condition as a person writes it, which `parse` reads."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Empty for conditions that are no classes."""
        return ()

    @property
    def summary(self) -> str:
        return f"{self.size} {self.noun}"

    def to_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}  # type: ignore[call-overload]


@dataclass(frozen=True)
class Unconditional(Condition):
    """Nothing is told. Its conditions are zeros (B,)."""

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
        """What `spread` gives is taken back."""
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
            raise ValueError("classes have names")

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
    """K numbers a sample: columns of a table, or an embedding. Conditions are (B, K), float32, in their own units.

    Networks see them standardised by `mean` and `scale`. `examples` are some of the data's own conditions, which
    samples are drawn for where nobody chooses.
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
            raise ValueError("conditions have a name, a mean, a scale and examples for each number")
        if not all(isinstance(name, str) for name in self.names) or min(self.scale) <= 0:
            raise ValueError("conditions have names, and scales above 0")
        if not all(math.isfinite(number) for row in rows for number in row):
            raise ValueError("conditions are finite numbers")

    @classmethod
    def fit(cls, values: Tensor, names: Sequence[str] = ()) -> "Vectors":
        """The description of conditions (N, K) of a data set."""
        if not values.isfinite().all():
            raise ValueError("conditions must be finite numbers: fill the gaps or drop those samples")
        spread = values.std(0, correction=0)
        # In a random order: the first few of them, which a page shows, are as spread as all.
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
        """A Gaussian of the distance, of the width at which one in a few samples counts (Ding et al. 2021, CcGAN)."""
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
        """A single condition may be text, "0.3,1.2", and a single number where K is 1."""
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
                f"a condition here is {self.size} finite number(s) ({named}), one condition for all samples or one for "
                f"each of {num}"
            )
        return values


def numbers_in(text: str) -> list[float]:
    """The numbers of "0.3,1.2" or "0.3 1.2"; raises `ValueError` with the text where there are none or others."""
    try:
        numbers = [float(part) for part in text.replace(",", " ").split()]
    except ValueError:
        numbers = []
    if not numbers:
        raise ValueError(text)
    return numbers


BANDWIDTH = 0.25
"""Standard deviations of a condition within which samples count as of one kind."""


class _LinearOfVectors(nn.Module):
    """Standardised numbers (B, K) to (B, width)."""

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
            f"there is no condition {values.get('kind')} among {known}: import the module that registers it"
        )

    def frozen(value: Any) -> Any:
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return CONDITIONS[values["kind"]](**{name: frozen(value) for name, value in values.items() if name != "kind"})
