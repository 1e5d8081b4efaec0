"""The model card (README.md) of a GAN on the Hugging Face hub: samples, use, scores, limits, licences, settings.

Names from data or from another person's run are written in code spans, where they are neither Markdown nor HTML; the
YAML front matter contains none of them.
"""

import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import sparring
from sparring.config import Config
from sparring.data.dataset import printable
from sparring.evaluation import with_floors
from sparring.metrics.scores import meaning_of, warnings_of
from sparring.modalities.display import Drawing
from sparring.modalities.page import Page
from sparring.models.initialization import parameter_count
from sparring.pretrained import GAN
from sparring.privacy import without_paths
from sparring.training.logs import rows_of, verdict_of

NAMES, LINES, LENGTH = 20, 20, 80
"""The most class names, the most texts, and the most characters of each."""


def model_card(gan: GAN, run: Path, name: str, *, licence: str | None = None, data_licence: str | None = None) -> str:
    """The card of the GAN in the folder `run`, published as `name` (USER/NAME) together with the folder's images."""
    page = gan.modality.page
    last, best = (_measured(run / file) for file in ("metrics.jsonl", "best/metrics.json"))
    last = last or _measured(run / "metrics.json")  # a `best` folder
    config = without_paths(gan.config)
    parts = [
        _front_matter(page, licence),
        f"# {_code(name)}",
        _samples(run),
        f"A generative adversarial network of transformers that generates {page.kind}, each in one forward pass. Made "
        f"with Sparring {sparring.__version__}.",
        _facts(gan, config, page, last),
        "## Use",
        _use(gan, page, name),
        "## Scores",
        _scores("These weights", last) or "Nothing was measured.",
        _scores("The best weights of the run, which are other weights", best) if best != last else "",
        "## Limits",
        _limits(run, last),
        "## Data and licence",
        _licences(config, licence, data_licence),
        "<details>\n<summary>Training settings</summary>",
        "![Losses, gap, penalties and distance during training](training.png)" * (run / "training.png").is_file(),
        _block([json.dumps(config.to_dict(), indent=2)], "json"),
        "</details>",
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _front_matter(page: Page, licence: str | None) -> str:
    lines = ["library_name: sparring", "tags: [sparring, gan, transformer]"]
    if page.pipeline is not None:
        lines.append(f"pipeline_tag: {page.pipeline}")
    if licence is not None:
        lines.append(f"license: {json.dumps(licence)}")
    return "\n".join(["---", *lines, "---"])


def _samples(run: Path) -> str:
    found = [file for file in ("samples.webp", "samples.png") if (run / file).is_file()]
    if found:
        return f"![Samples]({found[0]})"
    if not (run / "samples.txt").is_file():
        return ""
    lines = (run / "samples.txt").read_text(encoding="utf-8", errors="replace").splitlines()
    texts = [text for line in lines[:LINES] for text in re.split(" {3,}", line)]  # columns of `TextDisplay.save_sheet`
    return _block(map(printable, texts[:LINES]))


def _facts(gan: GAN, config: Config, page: Page, row: Mapping[str, float]) -> str:
    networks = {"generator": gan.generator, "discriminator": gan.networks.critics, "codec": gan.codec}
    sizes = {name: parameter_count(network) for name, network in networks.items()}
    condition = gan.spec.condition
    facts = {
        "Samples": page.description(gan.spec),
        "Channels": _listed(gan.spec.channel_names),
        condition.noun.capitalize(): f"{condition.size}: {_listed(condition.names)}" if condition.size else "none",
        "Parameters": ", ".join(f"{name} {size:,}" for name, size in sizes.items() if size),
        "Data": _code(config.data.path),
    }
    if {"samples_seen", "seconds"} <= row.keys():
        facts["Trained"] = f"{row['samples_seen']:,.0f} samples seen in {row['seconds'] / 60:,.1f} minutes"
    return "\n".join(f"- {name}: {value}" for name, value in facts.items() if value)


def _use(gan: GAN, page: Page, name: str) -> str:
    display = gan.modality.display
    out = f" --out samples{display.suffixes[0]}" if isinstance(display, Drawing) else ""  # texts are printed
    commands = ['pip install "sparring[hub]"', f"sparring sample hf:{name} --num 64{out}"]
    python = [
        "import sparring",
        "",
        f'gan = sparring.load("hf:{name}")',
        f"samples = gan.sample(16, seed=0)  # {page.returns(gan.spec, 16)}",
    ]
    return _block(commands, "bash") + "\n\n" + _block(python, "python")


def _scores(title: str, row: Mapping[str, float]) -> str:
    scores = {name: value for name, value in row.items() if name not in ("samples_seen", "seconds")}
    if not scores:
        return ""
    table = ["| score | value | |", "| - | - | - |"]
    table += [f"| {_code(name)} | {text} | {meaning_of(name)} |" for name, text in with_floors(scores).items()]
    after = f" after {row['samples_seen']:,.0f} samples" if "samples_seen" in row else ""
    return f"{title}, measured{after}, with the scores of real data:\n\n" + "\n".join(table)


def _limits(run: Path, row: Mapping[str, float]) -> str:
    limits = [f"{_code(text, None)}." for text in warnings_of(row)]  # they contain class names
    verdict = verdict_of(run)
    if verdict is not None:
        limits.append("The run's own verdict: " + _code(verdict, None))
    else:
        limits.append("The run has no verdict.")
    limits.append("It reproduces its data, including gaps and biases, and may come close to single training samples.")
    return "\n".join(f"- {limit}" for limit in limits)


def _licences(config: Config, licence: str | None, data_licence: str | None) -> str:
    data = f"Trained on {_code(config.data.path)}; the data's licence: "
    weights = _code(licence) if licence is not None else "none is stated, ask the author before you use them"
    return f"- {data}{_code(data_licence, None) if data_licence else 'not stated'}\n- The weights' licence: {weights}"


def _measured(file: Path) -> dict[str, float]:
    """The last row of a file with scores, without entries that are no numbers or have no plain name."""
    for row in reversed(rows_of(file)):
        row = {name: value for name, value in row.items() if re.fullmatch(r"\w+", name) and type(value) in (int, float)}
        if row.keys() - {"samples_seen", "seconds", "diversity"}:
            return row
    return {}


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - NAMES:,} more" if len(names) > NAMES else ""
    return ", ".join(map(_code, names[:NAMES])) + more


def _code(text: str, length: int | None = LENGTH) -> str:
    """Any text as a code span, which backticks in the text cannot end."""
    text = printable(text)
    text = text if length is None or len(text) <= length else text[:length] + "…"
    fence = "`" * (_longest_run(text) + 1)
    pad = " " if not text or text[0] == "`" or text[-1] == "`" else ""
    return f"{fence}{pad}{text}{pad}{fence}"


def _block(lines: Iterable[str], language: str = "text") -> str:
    text = "\n".join(lines)
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}{language}\n{text}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
