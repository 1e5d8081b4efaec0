"""`sparring project`."""

import argparse
from pathlib import Path
from typing import Any

from sparring.commands.arguments import Command, UsageError, add_condition, add_run, condition_of, positive, print_facts
from sparring.screen import note, say


def add(command: Command) -> None:
    project = command(
        "project", run_project, "Project real samples into the latent space of a trained GAN, to edit them."
    )
    add_run(project)
    project.add_argument("file", metavar="FILE", help="the samples: a picture, or any data set")
    project.add_argument(
        "--num", type=positive, default=8, help="number of samples, evenly spaced in FILE (default: 8)"
    )
    add_condition(project, "class of the samples, by name or number (default: that of the nearest random sample)")
    project.add_argument("--steps", type=positive, help="optimization steps, from the nearest random z (default: 300)")
    project.add_argument(
        "--out", default="projected.safetensors", help="file for the latents (default: projected.safetensors)"
    )
    project.add_argument(
        "--picture",
        metavar="FILE.png",
        help="draw samples beside their projections (default: projected.png; projected.txt for texts)",
    )
    project.add_argument("--json", action="store_true", help="print JSON")


def run_project(arguments: argparse.Namespace) -> int:
    import shlex
    import time

    import sparring
    from sparring.latents import save_latents
    from sparring.projection import STEPS, open_samples, project

    gan = sparring.load(arguments.folder, arguments.device)
    modality, condition = gan.modality, condition_of(gan, arguments)
    suffix = modality.display.sheet_suffix
    out, picture = Path(arguments.out), Path(arguments.picture or f"projected{suffix}")
    for option, path, ending in (("--out", out, ".safetensors"), ("--picture", picture, suffix)):
        if path.suffix.lower() != ending:
            raise UsageError(f"{option} {path} must end in {ending}")
        if path.exists() and path.resolve() == Path(arguments.file).resolve():
            raise UsageError(f"{option} {path} is the file of the samples: choose another file")
    samples, places = open_samples(gan, arguments.file, arguments.num)
    start = time.perf_counter()
    found = project(
        gan, samples, condition=condition, steps=arguments.steps or STEPS, seed=arguments.seed,
        report=note,
    )  # fmt: skip
    seconds = (time.perf_counter() - start) / len(samples)
    save_latents(found.z, found.condition, out, gan)
    modality.display.save_sheet(modality.interleaved(modality.to_user(samples, gan.spec), found.samples), picture, 2)
    columns: dict[str, list[Any]] = {
        "place": places,
        modality.error_name: found.errors,
        "of_the_random_start": found.start_errors,
        "of_the_codec": found.codec_errors,
        "z_rms": found.z_rms,
    }
    kind = gan.spec.condition
    if kind.option:
        columns[kind.option.strip("-")] = [kind.spell(row) for row in found.condition]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    facts: dict[str, Any] = {"out": str(out), "picture": str(picture), "seconds_a_sample": round(seconds, 2)}
    if arguments.json:
        print_facts({"samples": rows} | facts, True)
        return 0
    _print_table(rows)
    print_facts(facts, False)
    say(f"to edit them: sparring explore {shlex.quote(arguments.folder)} --latents {shlex.quote(str(out))}")
    return 0


def _print_table(rows: list[dict[str, Any]]) -> None:
    """Prints numbers with three digits, and the means of the columns as the last row."""
    from sparring.data.dataset import printable

    means = {
        name: sum(row[name] for row in rows) / len(rows) for name, value in rows[0].items() if type(value) is float
    }
    table = [[name.replace("_", " ") for name in rows[0]]]
    for row in [*rows, {"place": "mean"} | means]:
        cells = (row.get(name, "") for name in rows[0])
        table.append([f"{cell:.3g}" if isinstance(cell, float) else printable(str(cell)) for cell in cells])
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for line in table:
        say("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
