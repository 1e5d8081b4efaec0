"""Evaluation while a run goes on: the metric, the best state, and the goal that ends the run."""

from collections.abc import Callable, Sequence

from torch import Tensor

from sparring.config import ConfigError, TrainConfig
from sparring.metrics.metric import Metric, Sampler
from sparring.training.folder import RunFolder
from sparring.training.goal import Goal
from sparring.training.logs import Row


class Evaluation:
    """Scores `sample` by `metric`, keeps the best state in the run's folder, and tells when the goal is reached.

    `state` gives the tensors of the run as it is now.
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
        """Refuses an `until` that nothing measures before anything is trained."""
        if self.goal is None:
            return
        scores = {} if self.metric is None else self.metric(self.sample)
        if self.goal.key(scores) is None:
            there = [name for name in scores if not name.endswith("_floor")]
            raise ConfigError(f"--train.until {self.until}: this data is measured by {', '.join(there) or 'nothing'}")

    def observe(self, row: Row) -> Row:
        """The scores; writes the model to `best/` where no earlier row was as good."""
        assert self.metric is not None, "only a run with a metric is evaluated"
        scores = self.metric(self.sample)
        row = row | scores
        goal = self.goal or Goal.lowest(row)
        if goal is not None and goal.better(row, self.folder.best()):
            facts = getattr(self.metric, "facts", {})  # in which features, of how many samples
            self.folder.keep_best(row | facts, self.state())
        if self.goal and (key := self.goal.key(row)):
            self.log(f"{key} {row[key]:.3g}, and {self.until} is asked for")
        return scores

    def reached(self, rows: Sequence[Row]) -> bool:
        """Whether the last row that was measured reaches the goal."""
        measured = [row for row in rows if self.goal and self.goal.key(row)]
        if not measured or self.goal is None or not self.goal.reached(measured[-1]):
            return False
        self.log(f"{self.until} is reached at {measured[-1]['samples_seen']:,} samples")
        return True

    def missed(self) -> str:
        """A sentence on the best row, where the goal was not reached."""
        best = self.folder.best()
        key = self.goal.key(best) if self.goal else None
        if self.goal is None or key is None or self.goal.reached(best):  # a best by another goal may not have it
            return ""
        return (
            f"{self.until} was not reached: best was {best[key]:.3g} at {best['samples_seen']:,} samples, "
            f"kept in {self.folder.path / 'best'}."
        )
