"""Evaluation during a run: the metric, the best state, and the goal that ends the run."""

from collections.abc import Callable, Sequence

from torch import Tensor

from sparring.config import ConfigError, TrainConfig
from sparring.metrics.metric import Metric, Sampler
from sparring.training.folder import RunFolder
from sparring.training.goal import Goal
from sparring.training.logs import Row


class Evaluation:
    """Scores samples by `metric`, keeps the best state in the run's folder, and checks the goal.

    `state` returns the run's present tensors.
    """

    def __init__(
        self,
        train: TrainConfig,
        metric: Metric | None,
        sample: Sampler,
        folder: RunFolder,
        state: Callable[[], dict[str, Tensor]],
        log: Callable[[str], None],
    ) -> None:
        self.until, self.goal = train.until, Goal.of(train)
        self.metric, self.sample, self.folder, self.state, self.log = metric, sample, folder, state, log

    def check(self) -> None:
        """Raises `ConfigError` if no score belongs to `until`, before training."""
        if self.goal is None:
            return
        scores = {} if self.metric is None else self.metric(self.sample)
        if self.goal.key(scores) is None:
            names = [name for name in scores if not name.endswith("_floor")]
            raise ConfigError(f"--train.until {self.until}: the scores of this data are {', '.join(names) or 'none'}")

    def observe(self, row: Row) -> Row:
        """Returns the scores; writes the model to `best/` if no earlier row was as good."""
        assert self.metric is not None, "only a run with a metric is evaluated"
        scores = self.metric(self.sample)
        row = row | scores
        goal = self.goal or Goal.best(row)
        if goal is not None and goal.better(row, self.folder.best()):
            self.folder.keep_best(row | dict(self.metric.facts), self.state())
        if self.goal and (key := self.goal.key(row)):
            self.log(f"{key} {row[key]:.3g}, goal {self.until}")
        return scores

    def reached(self, rows: Sequence[Row]) -> bool:
        """Whether the last row with the goal's score reaches the goal."""
        measured = [row for row in rows if self.goal and self.goal.key(row)]
        if not measured or self.goal is None or not self.goal.reached(measured[-1]):
            return False
        self.log(f"{self.until} is reached at {measured[-1]['samples_seen']:,} samples")
        return True

    def missed(self) -> str:
        """A sentence about the best row if the goal was not reached, else an empty string."""
        best = self.folder.best()
        key = self.goal.key(best) if self.goal else None
        # The best row of an earlier goal may lack the score.
        if self.goal is None or key is None or self.goal.reached(best):
            return ""
        return (
            f"{self.until} was not reached: best was {best[key]:.3g} at {best['samples_seen']:,} samples, "
            f"kept in {self.folder.path / 'best'}."
        )
