"""The goal of a run: when to stop, and which state is the best."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sparring.config import TrainConfig
from sparring.metrics.scores import DISTANCES, SCORES

Row = Mapping[str, float]


@dataclass(frozen=True)
class Goal:
    """A score that should be at most, or at least, `value`."""

    name: str
    at_most: bool
    value: float

    @classmethod
    def of(cls, train: TrainConfig) -> "Goal | None":
        """The goal of `--train.until`, or None."""
        return None if train.goal is None else cls(train.goal[0], train.goal[1] == "<=", train.goal[2])

    @classmethod
    def best(cls, row: Row) -> "Goal | None":
        """The best value of the first distance in the row; None if the row has none."""
        name = next((name for name in DISTANCES if name in row), None)
        return None if name is None else cls(name, SCORES[name].better != "higher", 0.0)

    def key(self, row: Row) -> str | None:
        """The key of the score in a row; `fd` is the row's Fréchet distance."""
        names = DISTANCES if self.name == "fd" else (self.name,)
        return next((name for name in names if name in row), None)

    def reached(self, row: Row) -> bool:
        key = self.key(row)
        return key is not None and (row[key] <= self.value if self.at_most else row[key] >= self.value)

    def better(self, row: Row, earlier: Row) -> bool:
        """Whether a row is better than an earlier one, or the earlier one lacks the score."""
        key = self.key(row)
        if key is None or math.isnan(row[key]):
            return False
        if key not in earlier or math.isnan(earlier[key]):
            return True
        return row[key] < earlier[key] if self.at_most else row[key] > earlier[key]
