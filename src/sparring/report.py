"""A page about an evaluation: samples beside data, curves, scores beside their floors, what is nearest, what failed.

One file without scripts, whose pictures are inside it.
"""

import base64
import io
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
from sparring.display import pictures, showing, video
from sparring.display.training import plot_training
from sparring.evaluation import Compared
from sparring.files import write_atomic
from sparring.metrics.features import searched_in
from sparring.metrics.neighbours import nearest
from sparring.training.logs import logged_rows

SHOWN, PAIRS, FAILURES = 48, 12, 8
CANDIDATES = 500
"""Samples among which the failures are looked for."""

MEANING = {
    "frechet": "Fréchet distance of the features: 0 is best",
    "fid": "Fréchet inception distance: 0 is best",
    "frechet_clips": "Fréchet distance of the clips' features: 0 is best",
    "frechet_frames": "the same of single frames",
    "kid": "kernel distance: 0 is best",
    "precision": "share of samples among real ones: 1 is best",
    "recall": "share of real ones among samples: 1 is best",
    "density": "how thickly real ones lie around samples: 1 is usual",
    "coverage": "share of real ones with a sample near: 1 is best",
    "c2st": "share that a classifier tells apart: 0.5 is best",
    "repeats": "share of samples that all but repeat another one",
    "near_copies": "share of samples all but equal to a training sample",
    "near_copies_searched": "share of the training samples that copies were looked for in",
    "inception_score": "clear and of all classes: higher is better",
    "recognised": "share recognised as what it was made for",
    "discriminative": "how far above chance a GRU tells samples from real series: 0 is best",
    "predictive": "error of a GRU that learnt from samples, on real series",
    "correlational": "difference of the channels' correlations: 0 is best",
    "autocorrelation": "difference of the channels' autocorrelations: 0 is best",
    "context_frechet": "Fréchet distance of features of whole series: 0 is best",
    "perplexity": "of samples to a language model of the data: as real texts' is best",
    "reverse_perplexity": "of real texts to a language model of samples: lower is better",
    "unique": "share of texts that are unlike all others",
    "copied": "share of texts that stand in the training data",
}


def check_files(compared: Compared, report: str | None, neighbours: str | None) -> None:
    """Raises `ConfigError` for a file that cannot be written, before minutes of work."""
    sheet = showing.sheet_suffix(compared.dataset.sample_shape)
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
    return showing.save_sheet(look.neighbours(), path, 8)


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
        _section("Samples", _sheet(look.samples[:SHOWN], "samples")),
        _section("Real ones", _sheet(look.shown(), "real ones")),
        "</div>",
        _section(
            "What is nearest",
            f"<p>Samples, each followed by the real one nearest to it among {look.searched}, in the features of "
            f"{escape(look.name)}."
            + " Copies would show here." * look.compared.trained_on
            + "</p>"
            + _sheet(look.neighbours(), "samples and their nearest real ones", 8),
        ),
        _section(
            "Least like anything real",
            "<p>What to look at first.</p>" + _sheet(look.failures(), "samples far from all real ones", FAILURES),
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
        count = CANDIDATES if compared.most is None else min(CANDIDATES, compared.most)
        self.samples, self.classes = compared.sample(count)
        found = searched_in(compared.dataset, extractor, compared.device)
        self.name, self.places = found.name, found.places
        self.distance, self.nearest = nearest(found.look(self.samples), found.features)

    @property
    def searched(self) -> str:
        there, whole = len(self.places), len(self.dataset)
        return f"all {whole:,}" if there == whole else f"{there:,} of {whole:,} drawn at random"

    def real(self, places: Tensor) -> Any:
        return self.spec.finish(self.dataset.batch(places)[0])

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
        return self.spec.finish(source.batch(torch.tensor(chosen))[0])

    def neighbours(self) -> Any:
        return showing.beside(self.samples[:PAIRS], self.real(self.places[self.nearest[:PAIRS]]))

    def failures(self) -> Any:
        worst = self.distance.topk(min(FAILURES, len(self.distance)))[1]
        if isinstance(self.samples, Tensor):
            return self.samples[worst]
        return [self.samples[i] for i in worst.tolist()]


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
            f"<td>{'' if floor is None else f'{floor:.4g}'}</td><td>{MEANING.get(name, '')}</td></tr>"
        )
    head = "<tr><th>score</th><th>samples</th><th>real ones</th><th></th></tr>"
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def _sheet(samples: Any, alt: str, columns: int | None = None) -> str:
    """A picture, a film or a list, as HTML."""
    if not isinstance(samples, Tensor):
        return "<ul>" + "".join(f"<li>{escape(printable(text))}</li>" for text in samples) + "</ul>"
    if samples.ndim == 5:
        frames = [pictures.grid(samples[:, :, step], columns) for step in range(samples.shape[2])]
        with tempfile.TemporaryDirectory() as folder:
            video.save(frames, Path(folder) / "film.webp", video.CLIP_FRAMES_PER_SECOND)
            return _image((Path(folder) / "film.webp").read_bytes(), "webp", alt)
    draw = showing.showing_of(tuple(samples.shape[1:])).picture
    assert draw is not None, "what is a tensor can be drawn"
    stream = io.BytesIO()
    draw(samples, columns, None).save(stream, format="PNG")
    return _image(stream.getvalue(), "png", alt)


def _image(content: bytes, kind: str, alt: str) -> str:
    return f'<img alt="{alt}" src="data:image/{kind};base64,{base64.b64encode(content).decode()}">'


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
            "Curves", _image((Path(folder) / "training.png").read_bytes(), "png", "losses, gap, penalties, distance")
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
