"""Scores of generated images, each with the score of real images."""

import math
import warnings
from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor

from sparring.data.dataset import DataError, Dataset, printable, renumbered
from sparring.metrics.canonical import MOST_READ, canonical, ordered, stratified
from sparring.metrics.extractors import make_extractor
from sparring.metrics.frechet import IdentityFeatures, frechet_distance
from sparring.metrics.metric import Metric, Sampler, chosen_of
from sparring.metrics.neighbours import manifold_scores, near_copies, near_repeats
from sparring.metrics.real_images import features_of, logits_of, searched
from sparring.metrics.two_sample import classifier_two_sample, without_few

NEIGHBOURS = 5
FEWEST = 20
"""The fewest images in each of two compared sets."""

MANIFOLD = ("precision", "recall", "density", "coverage")
METRICS = ("frechet", "kid", *MANIFOLD, "c2st", "repeats", "near_copies", "inception_score", "recognised")
OTHER_NAMES = {"fd": "frechet", "fid": "frechet"}


class ImageEvaluation(Metric):
    """Compares samples with held-out images, or with half of the data if none are held out. The floor is the score of
    as many training images."""

    def __init__(
        self,
        dataset: Dataset,
        *,
        num: int,
        extractor: str,
        metrics: Collection[str] | None = None,
        seed: int = 0,
        trained_on: bool = True,
        by_content: bool = True,
        device: torch.device | str = "cpu",
    ) -> None:
        """`metrics` are some of `METRICS`; None: all that the data and the extractor allow. Copies are searched for
        only if the generator was `trained_on` the data set. The random choice of real images depends on their content
        if `by_content`, else on their order, which saves reading them all. The extractor runs on the `device`."""
        self.extractor, self.seed = make_extractor(extractor, dataset.sample_shape, device), seed
        self.dataset, self.classes, self.named = dataset, tuple(dataset.class_names), metrics is not None
        self.metrics = self._possible(metrics, trained_on)
        held_out = dataset.held_out
        available = min(len(held_out), len(dataset)) if held_out else len(dataset) // 2
        if available < FEWEST:
            raise DataError(f"{dataset.name} holds {len(dataset)} pictures: {2 * FEWEST} are needed for a comparison")
        if num < FEWEST:
            raise DataError(f"{num} samples are too few for a comparison: {FEWEST} are needed")
        self.count = count = min(num, available)
        self.metrics = without_few(self.metrics, count, named=self.named)
        source = held_out or dataset

        def indices_of(each: Dataset) -> Tensor:
            return ordered(each, max(MOST_READ, 2 * count)) if by_content else torch.arange(len(each))

        order = indices_of(source)
        order = order[torch.randperm(len(order), generator=torch.Generator().manual_seed(seed))]
        self.indices, training = order[:count], order[-count:]
        if held_out:
            training = stratified(dataset, indices_of(dataset), count)
        self.real, self.training = (
            features_of(self.extractor, *chosen) for chosen in ((source, self.indices), (dataset, training))
        )
        self.real_classes = renumbered(source.labels()[self.indices], source.class_names, self.classes)
        self.training_classes = dataset.labels()[training]
        self.recall_classes = [
            number
            for number in range(len(self.classes))
            if count > NEIGHBOURS * len(self.classes)  # a class with fewer samples has no reliable recall
            and all((of == number).sum() > NEIGHBOURS for of in (self.real_classes, self.training_classes))
        ]
        self.searched: Tensor | None = None
        self.facts: dict[str, Any] = {
            "extractor": self.extractor.name,
            "resized": self.extractor.resized,
            "count": count,
            "compared_with": printable(held_out.name) if held_out else "half of the data, as none is held out",
        }
        if "near_copies" in self.metrics:
            indices = searched(self.extractor, dataset)
            self.searched = features_of(self.extractor, dataset, indices)
            self.facts["searched"] = f"{len(indices)} of {len(dataset)} training pictures"
        self.floors: dict[bool, dict[str, float]] = {}

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """Returns `frechet` (named `fid` with FID's network), `kid`, `precision`, `recall` (also for each class if the
        samples have the data's classes), `density`, `coverage`, `c2st`, `repeats` and `near_copies` (with
        `near_copies_searched`, the share of training images searched, if below 1). An extractor with logits adds
        `inception_score`; if its classes are the data's, also the share `recognised`, overall and for each class. Each
        score comes with its `_floor`. The samples' order has no effect."""
        images, classes = sample(self.count)
        if classes is None and self.named and "recognised" in self.metrics:
            raise DataError("recognised needs the classes of the samples, and these have none")
        order = canonical(images)
        images, classes = images[order], None if classes is None else classes.cpu()[order]
        features, logits = self.extractor(images)
        scores = self._scores(features, classes) | self._floor(classes is not None)
        if self.searched is not None:
            others = self.real if self.dataset.held_out else None
            scores["near_copies"], scores["near_copies_floor"] = near_copies(features, self.searched, others)
            if len(self.searched) < len(self.dataset):
                scores["near_copies_searched"] = len(self.searched) / len(self.dataset)
        if logits is not None:
            scores |= self._classified(logits, classes)
        return scores

    def _possible(self, metrics: Collection[str] | None, trained_on: bool) -> tuple[str, ...]:
        """The metrics that can be computed; raises `DataError` if a named one cannot."""
        lacks = {}
        if not trained_on:
            lacks["near_copies"] = "the run's training data are not there"
        if not self.extractor.classifies:
            lacks |= dict.fromkeys(("inception_score", "recognised"), f"{self.extractor.name} has no classes")
        elif not self.classes:
            lacks["recognised"] = "the data has no classes"
        elif not set(self.classes) <= set(self.extractor.classes):
            lacks["recognised"] = f"the classes of {self.extractor.name} are not the data's"
        if metrics is None:
            return tuple(name for name in METRICS if name not in lacks)
        if "fid" in metrics and not self.extractor.fid:
            raise DataError(
                "fid is the Fréchet distance of Inception's features only: add --extractor inception, or name frechet"
            )
        chosen = chosen_of(METRICS, metrics, self.dataset, OTHER_NAMES)
        if missing := [name for name in chosen if name in lacks]:
            raise DataError(f"{missing[0]} cannot be measured here: {lacks[missing[0]]}")
        return chosen

    def _floor(self, by_class: bool) -> dict[str, float]:
        """The floors, computed at the first call only, as `c2st` trains a network."""
        if by_class not in self.floors:
            scores = self._scores(self.training, self.training_classes if by_class else None)
            if {"inception_score", "recognised"} & set(self.metrics):
                logits = logits_of(self.extractor, self.dataset.held_out or self.dataset, self.indices)
                scores |= self._classified(logits, self.real_classes if by_class else None)
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
            for number in self.recall_classes:
                made, real = features[classes == number], self.real[self.real_classes == number]
                # Too few samples of a class have no k-th neighbour: their recall is 0.
                enough = len(made) > NEIGHBOURS
                found = manifold_scores(made, real, NEIGHBOURS) if enough else {"recall": 0.0}
                scores[f"recall_{self.classes[number]}"] = found["recall"]
        if "c2st" in self.metrics:
            scores["c2st"] = classifier_two_sample(features, self.real, seed=self.seed)
        if "repeats" in self.metrics:
            scores["repeats"] = near_repeats(features, self.real)
        return scores

    def _classified(self, logits: Tensor, classes: Tensor | None) -> dict[str, float]:
        scores: dict[str, float] = {}
        if "inception_score" in self.metrics:
            scores["inception_score"] = inception_score(logits)
        if classes is not None and "recognised" in self.metrics:
            found = renumbered(logits.argmax(1), self.extractor.classes, self.classes)
            scores |= recognised(found, classes, self.classes)
        return scores


def recognised(found: Tensor, classes: Tensor, names: Sequence[str]) -> dict[str, float]:
    """The accuracy of the classes `found` (N,) against the intended `classes` (N,), overall and for each class; samples
    without a class (-1) do not count."""
    right = (found == classes).float()
    parts = {"recognised": classes >= 0} | {f"recognised_{name}": classes == n for n, name in enumerate(names)}
    return {name: right[made].mean().item() for name, made in parts.items() if made.any()}


# Bińkowski et al. 2018, section 4
def kernel_distance(features: Tensor, reference: Tensor, *, seed: int = 0) -> float:
    """The squared maximum mean discrepancy of features (N, D) and (M, D) with a cubic kernel, by torchmetrics; the
    order of rows has no effect."""
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.simplefilter("ignore")
        from torchmetrics.image.kid import KernelInceptionDistance

        torch.manual_seed(seed)
        features, reference = features[canonical(features)], reference[canonical(reference)]
        distance = KernelInceptionDistance(
            feature=IdentityFeatures(features.shape[1]),
            subsets=20,
            subset_size=min(1000, len(features), len(reference)),
        )
        distance.update(reference.double(), real=True)
        distance.update(features.double(), real=False)
        return float(distance.compute()[0])


# Salimans et al. 2016, section 4
def inception_score(logits: Tensor) -> float:
    """exp of the mean KL divergence of each image's class probabilities from the marginal, for logits (N, K); it is the
    Inception score only with Inception's logits."""
    log_p = logits.double().log_softmax(1)
    log_mean = log_p.logsumexp(0) - math.log(len(logits))
    return (log_p.exp() * (log_p - log_mean)).sum(1).mean().exp().item()
