"""The built-in `digits`: 5,000 handwritten digits of MNIST, 28x28 grey, ten classes."""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from sparring.data.arrays import build
from sparring.data.dataset import IGNORED_LABELS, Conditional, TensorDataset

_TRAINING_PER_CLASS = 400


def open_digits(*, resolution: int | None = None, conditional: Conditional = True) -> TensorDataset:
    """The first 400 digits of each class (4,000 in all); `held_out` has the last 100 of each class (1,000).

    Samples are sorted by class, 0 to 9. The images are from MNIST's training set (LeCun, Cortes, Burges; CC BY-SA 3.0).
    """
    with files("sparring.data").joinpath("digits.npz").open("rb") as handle, np.load(handle) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    by_class = [np.flatnonzero(labels == digit) for digit in range(10)]
    training = np.concatenate([places[:_TRAINING_PER_CLASS] for places in by_class])
    held_out = np.concatenate([places[_TRAINING_PER_CLASS:] for places in by_class])
    parts = []
    for name, places in (("digits", training), ("digits (held out)", held_out)):
        classes = [str(digit) for digit in labels[places]] if conditional else None
        notes = [] if conditional else [IGNORED_LABELS]
        parts.append(build(name, images[places], classes, resolution=resolution, notes=notes))
    parts[0].held_out = parts[1]
    return parts[0]
