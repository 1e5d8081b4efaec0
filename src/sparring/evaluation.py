"""The comparison of `sparring evaluate`: a run's samples, or samples made elsewhere, with real samples."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparring import pretrained
from sparring.config import ConfigError
from sparring.data.dataset import DataError, Dataset, renumbered
from sparring.data.spec import DataSpec
from sparring.data.vocabulary import clean
from sparring.device import choose_device
from sparring.metrics.canonical import ordered
from sparring.metrics.metric import Sampler
from sparring.metrics.scores import warnings_of
from sparring.modalities import metrics
from sparring.modalities.registry import modality_of, open_dataset


@dataclass
class Compared:
    """Samples and the real data. The samples are compared with the data set's held-out part, or with a reference."""

    samples: str
    data: str
    dataset: Dataset
    sample: Sampler
    most: int | None = None
    """The number of samples; None: unlimited."""
    reference: Sequence[str] | None = None
    """The texts to compare with, for texts."""
    run: Path | None = None
    trained_on: bool = True
    """Whether the generator was trained on the data set, as far as is known."""
    device: torch.device | str = "cpu"
    """The device of the feature extractors."""

    def scores(
        self,
        *,
        num: int = 10_000,
        repeats: int | None = None,
        seed: int = 0,
        extractor: str | None = None,
        chosen: Collection[str] | None = None,
        report: Callable[[str], None] = lambda line: None,
    ) -> dict[str, Any]:
        """The scores of `metrics.evaluate`, and the "warnings" about them."""
        found = metrics.evaluate(
            self.dataset, self.sample, repeats=repeats, seed=seed, reference=self.reference, extractor=extractor,
            metrics=chosen, num=num if self.most is None else min(num, self.most), trained_on=self.trained_on,
            device=self.device, report=report,
        )  # fmt: skip
        warnings = warnings_of(found)
        if not self.trained_on and modality_of(self.dataset).scoring.searches_copies:
            warnings.append("copies: none are searched for, as the run's training data are not there")
        return found | {"warnings": warnings}


def of_run(path: str, *, device: str, seed: int = 0, data: str | None = None, field: str | None = None) -> Compared:
    """Compares a run's samples with its training data's held-out part, or with `data` of the same kind."""
    run = pretrained.find_run(path)
    gan = pretrained.load(run, device)
    settings, opening = gan.config.data, gan.modality.opening

    def open_named() -> Dataset:
        return open_dataset(**(settings.to_dict() | settings.elsewhere(data or settings.path)))

    moved = False
    try:
        dataset = pretrained.open_data_of(gan)
    except (DataError, ConfigError):
        if data is None or opening.reads_values:
            raise
        dataset, moved = open_named(), True  # unknown training data: no search for copies
        if dataset.sample_shape != gan.spec.sample_shape:
            raise
    names = list(gan.class_names)

    def sample(num: int) -> tuple[Any, Tensor | None]:
        wanted = compared.dataset.class_names
        known = not set(names).isdisjoint(wanted)
        return gan.sample(num, seed=seed), renumbered(torch.arange(num) % len(names), names, wanted) if known else None

    compared = Compared(path, data or settings.path, dataset, sample, run=run, trained_on=not moved, device=gan.device)
    if data is None or moved:
        return compared
    if opening.reads_values:
        if not Path(data).is_file():
            raise ConfigError(f"--data {data} is not a file of {gan.modality.kind}")
        compared.reference = opening.values(data, settings.to_dict(), field)
        return compared
    reference = open_named()
    _check_alike(reference, dataset, data, path, ours=True)
    compared.dataset = gan.modality.scoring.with_reference(dataset, reference)
    return compared


def of_samples(path: str, data: str, *, device: str = "auto", seed: int = 0, **settings: Any) -> Compared:
    """Compares samples made elsewhere with `data`. Both are opened with the same `settings` of `open_dataset`, and
    their classes are matched by name."""
    extractor_device = choose_device(device)
    dataset = open_dataset(data, **settings)
    shuffle = torch.Generator().manual_seed(seed)
    modality = modality_of(dataset)
    if modality.opening.reads_values:
        values = sorted(map(clean, modality.opening.values(path, settings)))
        order = torch.randperm(len(values), generator=shuffle).tolist()
        return Compared(path, data, dataset, lambda num: ([values[i] for i in order[:num]], None), len(values))
    samples = open_dataset(path, **settings)
    _check_alike(samples, dataset, path, data)
    known = not set(samples.class_names).isdisjoint(dataset.class_names)
    classes = renumbered(samples.labels(), samples.class_names, dataset.class_names)
    spec = DataSpec.of(samples)
    # The random choice depends on the samples' content, and not on the order of files.
    indices = ordered(samples)
    chosen = indices[torch.randperm(len(indices), generator=shuffle)]

    def sample(num: int) -> tuple[Any, Tensor | None]:
        drawn = torch.cat([samples.batch(part)[0] for part in chosen[:num].split(250)])
        return modality.to_user(drawn, spec), classes[chosen[:num]] if known else None

    return Compared(path, data, dataset, sample, len(chosen), device=extractor_device)


def open_compared(path: str, *, device: str, seed: int, data: str | None, settings: dict[str, Any]) -> Compared:
    """Opens a run's folder, a hub id, or samples made elsewhere, which need `data`."""
    source = Path(path)
    if data is not None and not source.exists() and source.suffix:
        raise ConfigError(f"there is no {path}: give a run, or samples made elsewhere, a folder, .npz, ...")
    ours = not source.exists() or (source / "config.json").is_file() or (data is None and path in pretrained.shipped())
    if ours:
        if given := [name.replace("_", "-") for name in settings if name != "field"]:
            raise ConfigError(f"--{given[0]} is for samples made elsewhere: a run knows its own, drop it")
        return of_run(path, device=device, seed=seed, data=data, field=settings.get("field"))
    if data is None:
        raise ConfigError(
            f"{path} is no run folder (it has no config.json); samples made elsewhere need real data to compare with: "
            f"sparring evaluate {path} --data REFERENCE"
        )
    return of_samples(path, data, device=device, seed=seed, **settings)


def with_floors(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Formats each score with its spread and with the scores of real and of shuffled data."""
    notes = {"_floor": "real data", "_shuffled": "shuffled"}
    lines = {}
    for name, value in scores.items():
        if name.endswith(("_std", *notes)):
            continue
        if not isinstance(value, float):
            lines[name] = value
            continue
        spread = {n: f" ± {scores[n + '_std']:.2g}" if n + "_std" in scores else "" for n in (name, name + "_floor")}
        others = [
            f"{label}: {scores[name + suffix]:.4g}{spread.get(name + suffix, '')}"
            for suffix, label in notes.items()
            if name + suffix in scores
        ]
        lines[name] = f"{value:.4g}{spread[name]}" + (f" ({', '.join(others)})" if others else "")
    return lines


def _check_alike(first: Dataset, second: Dataset, first_name: str, second_name: str, *, ours: bool = False) -> None:
    for dataset, name in ((first, first_name), (second, second_name)):
        modality = modality_of(dataset)
        if modality.opening.reads_values:
            raise DataError(f"{name} holds {modality.kind}, and the other samples are none")
    if first.sample_shape != second.sample_shape:
        shapes = ["×".join(map(str, dataset.sample_shape)) for dataset in (first, second)]
        advice = "they are of different kinds, so there is nothing to compare"
        if modality_of(first).kind == modality_of(second).kind:
            opening = modality_of(first).opening
            advice = opening.advice(DataSpec.of(first), DataSpec.of(second), resizable=not ours)
        raise DataError(f"{first_name} holds samples of {shapes[0]} and {second_name} of {shapes[1]}: {advice}")
