"""A page about an evaluation: samples beside data, curves, scores beside their floors, what is nearest, what failed.

One file without scripts, whose pictures are inside it.
"""

import tempfile
from collections.abc import Mapping
from datetime import date
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import torch
from torch import Tensor

import sparring
from sparring.config import ConfigError
from sparring.data.dataset import printable, renumbered
from sparring.data.spec import DataSpec
from sparring.display.training import plot_training
from sparring.evaluation import Compared
from sparring.files import write_atomic
from sparring.metrics.neighbours import nearest
from sparring.metrics.scores import meaning_of
from sparring.modalities.display import embedded
from sparring.modalities.registry import modality_of
from sparring.training.logs import logged_rows

SHOWN, PAIRS, FAILURES = 48, 12, 8
CANDIDATES = 500
"""Samples among which the failures are looked for."""


def check_files(compared: Compared, report: str | None, neighbours: str | None) -> None:
    """Raises `ConfigError` for a file that cannot be written, before minutes of work."""
    sheet = modality_of(compared.dataset).display.sheet_suffix
    for option, name, suffixes in (("report", report, (".html", ".htm")), ("neighbours", neighbours, (sheet,))):
        if name is None:
            continue
        path = Path(name)
        if path.suffix.lower() not in suffixes:
            raise ConfigError(f"--{option} {name} must end in {' or '.join(suffixes)}")
        if path.is_dir():
            raise ConfigError(f"--{option} {name} is a folder: name a file")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=path.parent).close()
        except OSError as error:
            raise ConfigError(f"--{option} {name} cannot be written: {error.strerror}") from error


def save_neighbours(look: "Look", path: Path) -> Path:
    """Samples, each beside the real one nearest to it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return look.display.save_sheet(look.neighbours(), path, 8)


def write_report(look: "Look", scores: Mapping[str, Any], path: Path) -> None:
    """Scores as `Compared.scores` gives them."""
    compared = look.compared
    title = f"{printable(compared.samples)} beside {printable(compared.data)}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>Sparring {sparring.__version__}, {date.today().isoformat()}. Beside each score stands its floor: what "
        "as many other real samples get.</p>",
        *(f'<p class="warning">{escape(text)}</p>' for text in scores.get("warnings", ())),
        _verdict(compared.run),
        _section("Scores", _table(scores)),
        '<div class="pair">',
        _section("Samples", look.display.html(look.samples[:SHOWN], "samples")),
        _section("Real ones", look.display.html(look.shown(), "real ones")),
        "</div>",
        _section(
            "What is nearest",
            f"<p>Samples, each followed by the real one nearest to it among {look.searched}, in the features of "
            f"{escape(look.name)}."
            + " Copies would show here." * look.compared.trained_on
            + "</p>"
            + look.display.html(look.neighbours(), "samples and their nearest real ones", 8),
        ),
        _section(
            "Least like anything real",
            "<p>What to look at first.</p>"
            + look.display.html(look.failures(), "samples far from all real ones", FAILURES),
        ),
        _curves(compared.run),
        _settings(compared.run),
    ]
    page = PAGE.substitute(title=escape(title), body="\n".join(filter(None, parts)))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))


class Look:
    """Samples, and the real ones nearest to them."""

    def __init__(self, compared: Compared, extractor: str | None = None) -> None:
        self.compared = compared
        self.dataset, self.spec = compared.dataset, DataSpec.of(compared.dataset)
        self.modality = modality_of(compared.dataset)
        self.display = self.modality.display
        count = CANDIDATES if compared.most is None else min(CANDIDATES, compared.most)
        self.samples, self.classes = compared.sample(count)
        found = self.modality.scoring.features(compared.dataset, extractor, compared.device)
        self.name, self.places = found.name, found.indices
        self.distance, self.nearest = nearest(found.embed(self.samples), found.real)

    @property
    def searched(self) -> str:
        there, whole = len(self.places), len(self.dataset)
        return f"all {whole:,}" if there == whole else f"{there:,} of {whole:,} drawn at random"

    def real(self, places: Tensor) -> Any:
        return self.modality.to_user(self.dataset.batch(places)[0], self.spec)

    def shown(self) -> Any:
        """Real ones, of those that the samples are compared with: of the samples' classes, in their order, else at
        random, as a set often lies sorted."""
        if self.compared.reference is not None:
            return list(self.compared.reference[:SHOWN])
        source = self.dataset.held_out or self.dataset
        left = torch.randperm(len(source), generator=torch.Generator().manual_seed(0)).tolist()
        wanted = [-1] * min(SHOWN, len(source)) if self.classes is None else self.classes[:SHOWN].tolist()
        classes = renumbered(source.labels(), source.class_names, self.dataset.class_names).tolist()
        chosen = []
        for number in wanted[: len(source)]:
            place = next((place for place in left if classes[place] == number), left[0])
            left.remove(place)
            chosen.append(place)
        return self.modality.to_user(source.batch(torch.tensor(chosen))[0], self.spec)

    def neighbours(self) -> Any:
        return self.modality.interleaved(self.samples[:PAIRS], self.real(self.places[self.nearest[:PAIRS]]))

    def failures(self) -> Any:
        worst = self.distance.topk(min(FAILURES, len(self.distance)))[1]
        return self.modality.stacked([self.samples[place] for place in worst.tolist()])


def _section(title: str, content: str) -> str:
    return f"<section><h2>{title}</h2>{content}</section>"


def _table(scores: Mapping[str, Any]) -> str:
    rows = []
    for name, value in scores.items():
        if name == "warnings" or name.endswith(("_floor", "_floor_std", "_std", "_shuffled")):
            continue
        spread = f" ± {scores[f'{name}_std']:.3g}" if f"{name}_std" in scores else ""
        floor = scores.get(f"{name}_floor")
        shown = f"{value:.4g}" if isinstance(value, float) else escape(str(value))
        rows.append(
            f"<tr><th>{escape(printable(name.replace('_', ' ')))}</th><td>{shown}{spread}</td>"
            f"<td>{'' if floor is None else f'{floor:.4g}'}</td><td>{meaning_of(name)}</td></tr>"
        )
    head = "<tr><th>score</th><th>samples</th><th>real ones</th><th></th></tr>"
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _verdict(run: Path | None) -> str:
    if run is None or not (run / "verdict.txt").is_file():
        return ""
    return f"<p>{escape(printable((run / 'verdict.txt').read_text(encoding='utf-8', errors='replace')))}</p>"


def _curves(run: Path | None) -> str:
    rows = [] if run is None else logged_rows(run)
    if not any("logits/gap" in row for row in rows):
        return ""
    with tempfile.TemporaryDirectory() as folder:
        plot_training(rows, Path(folder) / "training.png")
        return _section(
            "Curves", embedded((Path(folder) / "training.png").read_bytes(), "png", "losses, gap, penalties, distance")
        )


def _settings(run: Path | None) -> str:
    if run is None:
        return ""
    text = (run / "config.json").read_text(encoding="utf-8")
    return f"<details><summary>Settings</summary><pre>{escape(text)}</pre></details>"


PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --line: #8884; --warning: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --warning: #ff8a80; } }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; overflow-wrap: anywhere; } h2 { font-size: 1.15rem; margin-top: 2.5rem; }
img { max-width: 100%; height: auto; border-radius: 4px; }
.pair { display: flex; flex-wrap: wrap; column-gap: 3rem; } .pair > section { max-width: 100%; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; } pre { overflow-x: auto; font-size: .8rem; }
.warning { color: var(--warning); font-weight: 600; }
</style>
<main>
$body
</main>
</html>
""")
