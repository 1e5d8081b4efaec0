"""What `sparring evaluate` compares: a run's samples, or samples made elsewhere, with real ones."""

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
from sparring.modalities import metrics as measuring
from sparring.modalities.registry import modality_of, open_dataset


@dataclass
class Compared:
    """Samples and the real ones beside them. `dataset` is what the samples should be like; what of it is held out, or a
    reference in its place, is what they are compared with."""

    samples: str
    data: str
    dataset: Dataset
    sample: Sampler
    most: int | None = None
    """How many samples there are; None: as many as wanted."""
    reference: Sequence[str] | None = None
    """Of texts: those they are compared with."""
    run: Path | None = None
    trained_on: bool = True
    """Whether the dataset is, as far as is known, what the samples' maker learnt from."""
    device: torch.device | str = "cpu"
    """On which extractors look at pictures and clips."""

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
        """The scores of `measuring.evaluate`, and under "warnings" what should not be missed."""
        found = measuring.evaluate(
            self.dataset, self.sample, repeats=repeats, seed=seed, reference=self.reference, extractor=extractor,
            metrics=chosen, num=num if self.most is None else min(num, self.most), trained_on=self.trained_on,
            device=self.device, report=report,
        )  # fmt: skip
        warnings = warnings_of(found)
        if not self.trained_on and modality_of(self.dataset).scoring.searches_copies:
            warnings.append("copies: none are looked for, as what the run was trained on is not there")
        return found | {"warnings": warnings}


def of_run(path: str, *, device: str, seed: int = 0, data: str | None = None, field: str | None = None) -> Compared:
    """A run's samples and what it was trained on, or `data` of the same kind."""
    run = pretrained.find_run(path)
    gan = pretrained.load(run, device)
    of_data, opening = gan.config.data, gan.modality.opening

    def named() -> Dataset:
        return open_dataset(**(of_data.to_dict() | {"path": data or of_data.path, "labels": None, "condition": None}))

    moved = False
    try:
        dataset = pretrained.open_data_of(gan)
    except (DataError, ConfigError):
        if data is None or opening.reads_values:
            raise
        dataset, moved = named(), True  # as with a stranger's run: then nothing is known of copies
        if dataset.sample_shape != gan.spec.sample_shape:
            raise
    names = list(gan.class_names)

    def sample(num: int) -> tuple[Any, Tensor | None]:
        wanted = compared.dataset.class_names  # of what it is compared with
        known = not set(names).isdisjoint(wanted)
        return gan.sample(num, seed=seed), renumbered(torch.arange(num) % len(names), names, wanted) if known else None

    compared = Compared(path, data or of_data.path, dataset, sample, run=run, trained_on=not moved, device=gan.device)
    if data is None or moved:
        return compared
    if opening.reads_values:
        if not Path(data).is_file():
            raise ConfigError(f"--data {data} is not a file of {gan.modality.kind}")
        compared.reference = opening.values(data, of_data.to_dict(), field)
        return compared
    reference = named()
    _check_alike(reference, dataset, data, path, ours=True)
    compared.dataset = gan.modality.scoring.with_reference(dataset, reference)
    return compared


def of_samples(path: str, data: str, *, device: str = "auto", seed: int = 0, **settings: Any) -> Compared:
    """Samples made elsewhere, in any form that data may have, and the `data` that they should be like; both are read
    with the same `settings` of `open_dataset`, and their classes matched by name."""
    looks_on = choose_device(device)
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
    # Which of many are drawn depends on what they are, and not on the order of the files.
    places = ordered(samples)
    chosen = places[torch.randperm(len(places), generator=shuffle)]

    def sample(num: int) -> tuple[Any, Tensor | None]:
        drawn = torch.cat([samples.batch(part)[0] for part in chosen[:num].split(250)])
        return modality.to_user(drawn, spec), classes[chosen[:num]] if known else None

    return Compared(path, data, dataset, sample, len(chosen), device=looks_on)


def open_compared(path: str, *, device: str, seed: int, data: str | None, settings: dict[str, Any]) -> Compared:
    """`path` is a run's folder, a hub id, or samples made elsewhere, which need `data`."""
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
            f"{path} is no run folder (it has no config.json); to judge samples made elsewhere name what they should "
            f"be like: sparring evaluate {path} --data REFERENCE"
        )
    return of_samples(path, data, device=device, seed=seed, **settings)


def beside_floors(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Each score with its spread, and what real and shuffled data get, on one line."""
    notes = {"_floor": "real ones", "_shuffled": "shuffled"}
    lines = {}
    for name, value in scores.items():
        if name.endswith(("_std", *notes)):
            continue
        if not isinstance(value, float):
            lines[name] = value
            continue
        spread = {n: f" ± {scores[n + '_std']:.2g}" if n + "_std" in scores else "" for n in (name, name + "_floor")}
        beside = [
            f"{label}: {scores[name + suffix]:.4g}{spread.get(name + suffix, '')}"
            for suffix, label in notes.items()
            if name + suffix in scores
        ]
        lines[name] = f"{value:.4g}{spread[name]}" + (f" ({', '.join(beside)})" if beside else "")
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
