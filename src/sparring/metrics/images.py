"""How good generated pictures are, each score beside what real pictures get against real ones."""

import math
import warnings
from collections.abc import Collection

import torch
from torch import Tensor

from sparring.data.dataset import DataError, Dataset, digest
from sparring.metrics import Metric, Sampler, chosen_of
from sparring.metrics.cache import cached
from sparring.metrics.digits import DigitMetric
from sparring.metrics.extractors import BATCH, make_extractor
from sparring.metrics.frechet import Given, frechet_distance
from sparring.metrics.neighbours import manifold_scores, near_copies, near_repeats
from sparring.metrics.two_sample import classifier_two_sample

NEIGHBOURS = 5
FEWEST = 20
"""Real pictures on either side of a floor."""
SEARCHED = 10_000
"""Training pictures among which copies are looked for."""
WHILE_TRAINING = 1000
"""Pictures that a run compares."""

MANIFOLD = ("precision", "recall", "density", "coverage")
METRICS = ("frechet", "kid", *MANIFOLD, "c2st", "repeats", "near_copies", "inception_score", "recognised")


class ImageEvaluation:
    """Compares samples with real pictures that the GAN has not seen, where some are held out, else with half of the
    data; the floor is that of as many other real ones, training pictures."""

    def __init__(
        self, dataset: Dataset, *, num: int, extractor: str, metrics: Collection[str] = METRICS, seed: int = 0
    ) -> None:
        """Only the named of `METRICS` are computed, as far as the data and the extractor allow."""
        self.extractor, self.metrics = make_extractor(extractor, dataset.sample_shape), chosen_of(METRICS, metrics)
        self.seed, self.classes = seed, tuple(dataset.class_names)
        held_out = dataset.held_out
        there = min(len(held_out), len(dataset)) if held_out else len(dataset) // 2
        if there < FEWEST:
            raise DataError(f"{dataset.name} holds {len(dataset)} pictures: {2 * FEWEST} are needed to compare")
        if num < FEWEST:
            raise DataError(f"{num} samples are too few to compare: {FEWEST} are needed")
        count = min(num, there)
        self.count = count
        order = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(seed))
        self.training = self._features(dataset, order[-count:])
        self.training_classes = dataset.labels()[order[-count:]]
        self.floors: dict[bool, dict[str, float]] = {}
        self.learnt: Tensor | None = None
        if held_out:
            order_held = torch.randperm(len(held_out), generator=torch.Generator().manual_seed(seed))[:count]
            self.real, self.real_classes = self._features(held_out, order_held), held_out.labels()[order_held]
            if held_out.class_names != dataset.class_names:
                self.classes = ()
            if "near_copies" in self.metrics:
                self.learnt = self._features(dataset, order[:SEARCHED])  # among which copies are looked for
        else:
            self.real, self.real_classes = self._features(dataset, order[:count]), dataset.labels()[order[:count]]

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """`frechet` (`fid` in the FID network's features), `kid`, `precision`, `recall` (of each class too, where
        samples have the data's classes), `density`, `coverage`, `c2st` and `repeats`, each beside its `_floor`; the
        share of `near_copies`; where the extractor has classes `inception_score`, and where those are the data's the
        share `recognised` as what it was made for, in all and of each class."""
        pictures, classes = sample(self.count)
        features, logits = self.extractor(pictures)
        scores = self._scores(features, classes) | self._floor(classes is not None)
        if self.learnt is not None:
            scores["near_copies"], scores["near_copies_floor"] = near_copies(features, self.learnt, self.real)
        if logits is not None and "inception_score" in self.metrics:
            scores["inception_score"] = inception_score(logits)
        if logits is not None and "recognised" in self.metrics:
            scores |= self._recognised(logits, classes)
        return scores

    def _features(self, dataset: Dataset, chosen: Tensor) -> Tensor:
        """Of the pictures at these places, never more of them in memory than a batch."""
        parts = chosen.split(BATCH)
        # By the pictures themselves: a set's fingerprint may know no more than its files' names and sizes.
        contents = digest(*(digest(dataset.batch(part)[0]) for part in parts))
        return cached(
            (contents, self.extractor.key),
            lambda: torch.cat([self.extractor(dataset.batch(part)[0])[0] for part in parts]),
        )

    def _floor(self, by_class: bool) -> dict[str, float]:
        """The same at every call, so computed at the first: a run that measures often would train `c2st` twice."""
        if by_class not in self.floors:
            scores = self._scores(self.training, self.training_classes if by_class else None)
            self.floors[by_class] = {f"{name}_floor": value for name, value in scores.items()}
        return self.floors[by_class]

    def _scores(self, features: Tensor, classes: Tensor | None) -> dict[str, float]:
        scores: dict[str, float] = {}
        if "frechet" in self.metrics:
            scores["fid" if self.extractor.fid else "frechet"] = frechet_distance(features, self.real)
        if "kid" in self.metrics:
            scores["kid"] = kernel_distance(features, self.real, seed=self.seed)
        if wanted := [name for name in MANIFOLD if name in self.metrics]:
            found = manifold_scores(features, self.real, NEIGHBOURS)
            scores |= {name: found[name] for name in wanted}
        if classes is not None and "recall" in self.metrics:
            for number, name in enumerate(self.classes):
                made, real = features[classes.cpu() == number], self.real[self.real_classes == number]
                if min(len(made), len(real)) > NEIGHBOURS:
                    scores[f"recall_{name}"] = manifold_scores(made, real, NEIGHBOURS)["recall"]
        if "c2st" in self.metrics:
            scores["c2st"] = classifier_two_sample(features, self.real, seed=self.seed)
        if "repeats" in self.metrics:
            scores["repeats"] = near_repeats(features, self.real)
        return scores

    def _recognised(self, logits: Tensor, classes: Tensor | None) -> dict[str, float]:
        if classes is None or self.classes != self.extractor.classes:
            return {}
        right = (logits.argmax(1) == classes.cpu()).float()
        scores = {"recognised": right.mean().item()}
        for number, name in enumerate(self.classes):
            if (made := classes.cpu() == number).any():
                scores[f"recognised_{name}"] = right[made].mean().item()
        return scores


def default_extractor(dataset: Dataset) -> str:
    return "digits" if dataset.name == "digits" else "untrained"


def image_metric(dataset: Dataset, extractor: str | None, also: str | None) -> Metric | None:
    """What a run measures of pictures as it trains: of digits what `DigitMetric` does, of others the Fréchet distance
    and recall; and `also` one more of `METRICS`. None where there are too few."""
    parts: list[Metric] = []
    wanted: set[str] = {"frechet", "recall"}
    if dataset.name == "digits" and extractor in (None, "digits"):
        parts, wanted = [DigitMetric(dataset)], set()
    if also in METRICS and not (parts and also in ("frechet", "recognised")):
        wanted.add(also)
    if wanted and len(dataset) >= 2 * FEWEST:
        name = extractor or default_extractor(dataset)
        parts.append(ImageEvaluation(dataset, num=WHILE_TRAINING, extractor=name, metrics=wanted))
    if len(parts) < 2:
        return parts[0] if parts else None
    return lambda sample: {name: value for part in parts for name, value in part(sample).items()}


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
