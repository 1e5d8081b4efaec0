"""When a run is good enough, and which of its states was the best: what the measurements say."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sparring.config import TrainConfig
from sparring.metrics.scores import DISTANCES

Row = Mapping[str, float]


@dataclass(frozen=True)
class Goal:
    """A metric that should be at most, or at least, so much."""

    name: str
    at_most: bool
    value: float

    @classmethod
    def of(cls, train: TrainConfig) -> "Goal | None":
        """What `--train.until` asks for."""
        return None if train.goal is None else cls(train.goal[0], train.goal[1] == "<=", train.goal[2])

    @classmethod
    def lowest(cls, row: Row) -> "Goal | None":
        """As low a Fréchet distance as can be, where there is one."""
        name = next((name for name in DISTANCES if name in row), None)
        return None if name is None else cls(name, True, 0.0)

    def key(self, row: Row) -> str | None:
        """The name under which a row holds the metric: `fd` is the data's own Fréchet distance."""
        names = DISTANCES if self.name == "fd" else (self.name,)
        return next((name for name in names if name in row), None)

    def reached(self, row: Row) -> bool:
        key = self.key(row)
        return key is not None and (row[key] <= self.value if self.at_most else row[key] >= self.value)

    def better(self, row: Row, earlier: Row) -> bool:
        """Whether a row is better than an earlier one, or the earlier one says nothing."""
        key = self.key(row)
        if key is None or math.isnan(row[key]):
            return False
        if key not in earlier or math.isnan(earlier[key]):
            return True
        return row[key] < earlier[key] if self.at_most else row[key] > earlier[key]
