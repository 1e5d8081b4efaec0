"""Scores of generated digits: Fréchet distance, classification accuracy, distribution over the classes."""

import torch

from sparring.data.dataset import Dataset
from sparring.metrics.canonical import ordered, stratified
from sparring.metrics.digit_classifier import NAME, load_digit_classifier, recognise
from sparring.metrics.frechet import frechet_distance
from sparring.metrics.metric import Metric, Sampler


class DigitMetric(Metric):
    """Compares samples with the 1,000 held-out digits."""

    def __init__(self, dataset: Dataset) -> None:
        assert dataset.held_out is not None
        self.model = load_digit_classifier()
        self.count = len(dataset.held_out)
        self.reference, _ = recognise(self.model, dataset.held_out.batch(torch.arange(self.count))[0])
        training, _ = recognise(self.model, dataset.batch(stratified(dataset, ordered(dataset), self.count))[0])
        self.floor = frechet_distance(training, self.reference)
        self.facts = {"extractor": f"{NAME} (not Inception)", "resized": "not resized", "count": self.count}

    def __call__(self, sample: Sampler) -> dict[str, float]:
        """Returns `frechet` in the features of `sparring-digits`; `frechet_floor`, the distance of as many training
        digits; `recognised`, the share classified as intended; and the shares of the rarest and the most frequent
        digit."""
        digits, classes = sample(self.count)
        features, predicted = recognise(self.model, digits)
        shares = torch.bincount(predicted, minlength=10) / len(predicted)
        scores = {
            "frechet": frechet_distance(features, self.reference),
            "frechet_floor": self.floor,
            "least_share": shares.min().item(),
            "most_share": shares.max().item(),
        }
        if classes is not None:
            scores["recognised"] = (predicted == classes.cpu()).float().mean().item()
        return scores
