"""How many modes of a mixture of Gaussians are covered."""

from sparring.data.dataset import Dataset
from sparring.data.synthetic import Points, mode_coverage
from sparring.metrics import Sampler

SAMPLES = 10_000


class ModeMetric:
    def __init__(self, dataset: Dataset, num: int = SAMPLES) -> None:
        assert isinstance(dataset, Points)
        self.modes, self.std, self.facts = dataset.modes, dataset.std, {"count": num}

    def __call__(self, sample: Sampler) -> dict[str, float]:
        covered, share = mode_coverage(sample(self.facts["count"])[0].flatten(1), self.modes, self.std)
        return {"modes": covered, "share_within_3_sigma": share}
