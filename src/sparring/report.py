"""An HTML report of an evaluation: samples, real samples, curves, scores, nearest real samples and failures.

The report is one file, without scripts and with embedded images.
"""

import tempfile
from collections.abc import Mapping
from datetime import date
from html import escape
from pathlib import Path
from string import Template
from typing import Any

import torch

import sparring
from sparring.config import ConfigError
from sparring.data.dataset import printable, renumbered
from sparring.data.spec import DataSpec
from sparring.display.training import plot_training
from sparring.evaluation import Compared
from sparring.files import CheckpointError, write_atomic
from sparring.metrics.neighbours import nearest
from sparring.metrics.scores import meaning_of
from sparring.modalities.display import embedded
from sparring.modalities.registry import modality_of
from sparring.pretrained import MAX_CONFIG
from sparring.regular_files import read_regular
from sparring.training.logs import logged_rows, verdict_of

SHOWN, PAIRS, FAILURES = 48, 12, 8
CANDIDATES = 500
"""The number of samples that are searched for failures."""


def check_files(compared: Compared, report: str | None, neighbours: str | None) -> None:
    """Raises `ConfigError` if a file cannot be written, before the slow work."""
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


def save_neighbours(nearest: "NearestSamples", path: Path) -> Path:
    """Saves samples, each next to its nearest real sample."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return nearest.display.save_sheet(nearest.pairs(), path, 8)


def write_report(nearest: "NearestSamples", scores: Mapping[str, Any], path: Path) -> None:
    """Writes the report of `Compared.scores`."""
    compared, html = nearest.compared, nearest.display.html
    title = f"{printable(compared.samples)} compared with {printable(compared.data)}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>Sparring {sparring.__version__}, {date.today().isoformat()}. Each score has a floor: the score of as many "
        "other real samples.</p>",
        *(f'<p class="warning">{escape(text)}</p>' for text in scores.get("warnings", ())),
        _verdict(compared.run),
        _section("Scores", _table(scores)),
        '<div class="pair">',
        _section("Samples", html(nearest.samples[:SHOWN], "samples")),
        _section("Real samples", html(nearest.real_samples(), "real samples")),
        "</div>",
        _section(
            "Nearest real samples",
            f"<p>Samples, each followed by the nearest of {nearest.searched} real samples, in the features of "
            f"{escape(nearest.name)}."
            + " A copy of training data would show here." * compared.trained_on
            + "</p>"
            + html(nearest.pairs(), "samples and their nearest real samples", 8),
        ),
        _section(
            "Farthest from all real samples",
            "<p>Probable failures.</p>" + html(nearest.failures(), "samples far from all real samples", FAILURES),
        ),
        _curves(compared.run),
        _settings(compared.run),
    ]
    page = PAGE.substitute(title=escape(title), body="\n".join(filter(None, parts)))
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, lambda temporary: temporary.write_text(page, encoding="utf-8"))


class NearestSamples:
    """Samples and their nearest real samples, in the features of the modality or of an extractor."""

    def __init__(self, compared: Compared, extractor: str | None = None) -> None:
        self.compared = compared
        self.dataset, self.spec = compared.dataset, DataSpec.of(compared.dataset)
        self.modality = modality_of(compared.dataset)
        self.display = self.modality.display
        count = CANDIDATES if compared.most is None else min(CANDIDATES, compared.most)
        self.samples, self.classes = compared.sample(count)
        found = self.modality.scoring.features(compared.dataset, extractor, compared.device)
        self.name, self.indices = found.name, found.indices
        self.distance, self.nearest = nearest(found.embed(self.samples), found.real)

    @property
    def searched(self) -> str:
        count, whole = len(self.indices), len(self.dataset)
        return f"all {whole:,}" if count == whole else f"{count:,} of {whole:,} random"

    def real_samples(self) -> Any:
        """Random samples of the data that is compared with, of the same classes as the generated samples."""
        if self.compared.reference is not None:
            return list(self.compared.reference[:SHOWN])
        source = self.dataset.held_out or self.dataset
        left = torch.randperm(len(source), generator=torch.Generator().manual_seed(0)).tolist()
        wanted = [-1] * min(SHOWN, len(source)) if self.classes is None else self.classes[:SHOWN].tolist()
        classes = renumbered(source.labels(), source.class_names, self.dataset.class_names).tolist()
        chosen = []
        for number in wanted[: len(source)]:
            index = next((index for index in left if classes[index] == number), left[0])
            left.remove(index)
            chosen.append(index)
        return self.modality.to_user(source.batch(torch.tensor(chosen))[0], self.spec)

    def pairs(self) -> Any:
        """Samples, each followed by its nearest real sample."""
        stored = self.dataset.batch(self.indices[self.nearest[:PAIRS]])[0]
        return self.modality.interleaved(self.samples[:PAIRS], self.modality.to_user(stored, self.spec))

    def failures(self) -> Any:
        worst = self.distance.topk(min(FAILURES, len(self.distance)))[1]
        return self.modality.stacked([self.samples[index] for index in worst.tolist()])


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
    head = "<tr><th>score</th><th>samples</th><th>real data</th><th></th></tr>"
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _verdict(run: Path | None) -> str:
    verdict = None if run is None else verdict_of(run)
    return "" if verdict is None else f"<p>{escape(printable(verdict))}</p>"


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
    text = read_regular(run / "config.json", MAX_CONFIG, CheckpointError).decode(errors="replace")
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
