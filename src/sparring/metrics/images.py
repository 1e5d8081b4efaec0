"""How good generated pictures are, each score beside what real pictures get against real ones."""

import math
import warnings

import torch
from torch import Tensor

from sparring.data.dataset import DataError, Dataset
from sparring.metrics import Sampler
from sparring.metrics.extractors import BATCH, make_extractor
from sparring.metrics.frechet import Given, frechet_distance
from sparring.metrics.neighbours import manifold_scores, near_copies
from sparring.metrics.two_sample import classifier_two_sample

NEIGHBOURS = 5
FEWEST = 20
"""Real pictures on either side of a floor."""


class ImageEvaluation:
    """Compares samples with real pictures that the GAN has not seen, where some are held out, else with half of the
    data; the floor is that of as many other real ones, training pictures."""

    def __init__(self, dataset: Dataset, *, num: int, extractor: str, seed: int = 0) -> None:
        self.extractor = make_extractor(extractor, dataset.sample_shape)
        self.seed, self.classes = seed, tuple(dataset.class_names)
        held_out = dataset.held_out
        count = min(num, len(held_out) if held_out else len(dataset) // 2)
        if count < FEWEST:
            raise DataError(f"{dataset.name} holds {len(dataset)} pictures: {2 * FEWEST} are needed to compare")
        self.count = count
        order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
        self.training = self._features(dataset, order[-count:])
        self.learnt: Tensor | None = None
        if held_out:
            unseen = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))
            self.real = self._features(held_out, unseen[:count])
            self.learnt = self._features(dataset, order[: 10 * count])  # among which copies are looked for
        else:
            self.real = self._features(dataset, order[:count])

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """`frechet`, `kid`, `precision`, `recall`, `density`, `coverage` and `c2st`, each beside its `_floor`; the
        share of `near_copies`; where the extractor has classes `inception_score`, and where those are the data's the
        share `recognised` as what it was made for, in all and of each class."""
        pictures, classes = sample(self.count)
        features, logits = self.extractor(pictures)
        scores = self._scores(features) | {f"{name}_floor": v for name, v in self._scores(self.training).items()}
        if self.learnt is not None:
            scores["near_copies"], scores["near_copies_floor"] = near_copies(features, self.learnt, self.real)
        if logits is not None:
            scores["inception_score"] = inception_score(logits)
            if classes is not None and self.classes == self.extractor.classes:
                right = (logits.argmax(1) == classes.cpu()).float()
                scores["recognised"] = right.mean().item()
                for number, name in enumerate(self.classes):
                    if (made := classes.cpu() == number).any():
                        scores[f"recognised_{name}"] = right[made].mean().item()
        return scores

    def _features(self, dataset: Dataset, chosen: Tensor) -> Tensor:
        """Of the pictures at these places, never more of them in memory than a batch."""
        return torch.cat([self.extractor(dataset.batch(part)[0])[0] for part in chosen.split(BATCH)])

    def _scores(self, features: Tensor) -> dict[str, float]:
        return {
            "frechet": frechet_distance(features, self.real),
            "kid": kernel_distance(features, self.real, seed=self.seed),
            **manifold_scores(features, self.real, NEIGHBOURS),
            "c2st": classifier_two_sample(features, self.real, seed=self.seed),
        }


# Bińkowski et al. 2018, section 4
def kernel_distance(features: Tensor, reference: Tensor, *, seed: int = 0) -> float:
    """The squared maximum mean discrepancy with a cubic kernel of features (N, D) and (M, D), by torchmetrics."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        from torchmetrics.image.kid import KernelInceptionDistance

        torch.manual_seed(seed)
        distance = KernelInceptionDistance(
            feature=Given(features.shape[1]), subsets=20, subset_size=min(1000, len(features), len(reference))
        )
        distance.update(reference.double(), real=True)
        distance.update(features.double(), real=False)
        return float(distance.compute()[0])


# Salimans et al. 2016, section 4
def inception_score(logits: Tensor) -> float:
    """exp of the mean divergence of each picture's class probabilities from their mean, logits (N, K). It is the
    Inception score only with Inception's logits."""
    log_p = logits.double().log_softmax(1)
    log_mean = log_p.logsumexp(0) - math.log(len(logits))
    return (log_p.exp() * (log_p - log_mean)).sum(1).mean().exp().item()
