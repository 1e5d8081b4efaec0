"""`sparring sample` and `interpolate`."""

import argparse
from pathlib import Path
from typing import Any

from sparring.commands.arguments import Command, UsageError, add_condition, add_run, condition_of, positive
from sparring.screen import note, say, say_json


def add(command: Command) -> None:
    sample = command("sample", run_sample, "Draw samples from a trained GAN.")
    add_run(sample)
    sample.add_argument("--num", type=positive, default=64, help="number of samples (default: 64)")
    sample.add_argument(
        "--out",
        help="one file (.npz, .png; .csv for series; .webp, .gif, .mp4 for clips; .txt, .jsonl for texts), or a folder "
        "for one file per sample (default: samples.png, .csv or .webp; texts are printed)",
    )
    sample.add_argument("--plot", metavar="FILE.png", help="plot generated series beside real ones")
    add_condition(sample)
    sample.add_argument(
        "--reject",
        type=float,
        default=0.0,
        help="share of samples rejected, those with the lowest logits of the discriminator: 0.5",
    )
    sample.add_argument("--json", action="store_true", help="print JSON")
    sample.add_argument("--truncation", type=float, default=1.0, help="truncation psi, below 1: less diverse samples")

    walk = command("interpolate", run_interpolate, "Make a video of an interpolation in z; print it for texts.")
    add_run(walk)
    walk.add_argument("--out", help=".gif, .webp, or .mp4 (extra: video); .txt for texts (default: walk.webp)")
    walk.add_argument("--num", type=positive, default=16, help="samples side by side (default: 16)")
    walk.add_argument("--frames", type=positive, default=120, help="number of frames (default: 120, at 30 per second)")
    add_condition(walk)


def _load(arguments: argparse.Namespace) -> Any:
    """The GAN; prints a note if only its codec has been trained yet."""
    import sparring
    from sparring.pretrained import find_run
    from sparring.training.logs import logged_rows

    folder = find_run(arguments.folder)
    gan, rows = sparring.load(folder, arguments.device), logged_rows(folder)
    if rows and rows[-1]["samples_seen"] <= gan.config.codec_samples:
        note(f"note: the codec of {folder} is still training, and its GAN has yet to begin")
    return gan


def run_sample(arguments: argparse.Namespace) -> int:
    gan = _load(arguments)
    display, condition = gan.modality.display, condition_of(gan, arguments)
    out = Path(arguments.out or f"samples{display.suffixes[0]}")
    display.check_path(out)
    dataset = _open_for_plot(gan, arguments.plot) if arguments.plot else None
    samples = gan.sample(
        arguments.num,
        seed=arguments.seed,
        condition=condition,
        truncation_psi=arguments.truncation,
        reject=arguments.reject,
    )
    lines = display.lines(samples)
    if lines and not arguments.out:
        say_json(lines) if arguments.json else say("\n".join(lines))
        return 0
    display.save(samples, out, gan.spec)
    if dataset is not None:
        _plot_beside_real(gan, dataset, samples, condition, Path(arguments.plot))
    say_json({"out": str(out)}) if arguments.json else say(out)
    return 0


def _open_for_plot(gan: Any, plot: str) -> Any:
    """The training data, opened before anything is written; raises `UsageError` if it cannot be plotted."""
    from sparring.pretrained import open_data_of

    suffixes = gan.modality.display.comparison_suffixes
    if not suffixes:
        raise UsageError("--plot draws series, and this GAN generates none: drop it")
    if Path(plot).suffix.lower() not in suffixes:
        raise UsageError(f"--plot {plot} must end in {', '.join(suffixes)}")
    return open_data_of(gan)


def _plot_beside_real(gan: Any, dataset: Any, samples: Any, condition: str | None, path: Path) -> None:
    import torch

    from sparring.data.spec import DataSpec

    places = torch.arange(len(dataset))
    if condition is not None:
        wanted = gan.spec.condition.parse(condition, 1)
        similarity = gan.spec.condition.similarity(wanted, dataset.conditions_of(places))[0]
        places = (similarity > 0.5).nonzero().flatten()
    # In random order, as windows of a table are ordered by time.
    shown = places[torch.randperm(len(places), generator=torch.Generator().manual_seed(0))[: len(samples)]]
    real = gan.modality.to_user(dataset.batch(shown)[0], DataSpec.of(dataset))
    gan.modality.display.compare(samples, real, gan.spec, path)


def run_interpolate(arguments: argparse.Namespace) -> int:
    from sparring.display import video
    from sparring.modalities.display import Drawing

    path = Path(arguments.out or "walk.webp")
    gan = _load(arguments)
    display, condition = gan.modality.display, condition_of(gan, arguments)
    if not isinstance(display, Drawing):
        return _print_walk(gan, arguments, condition)
    video.check_format(path)
    walk = gan.interpolate(arguments.frames, seed=arguments.seed, num=arguments.num, condition=condition)
    video.save(display.frames(walk), path)
    say(path)
    return 0


def _print_walk(gan: Any, arguments: argparse.Namespace, condition: str | None) -> int:
    """Prints or saves the texts of a closed interpolation; consecutive duplicates appear once."""
    display = gan.modality.display
    if arguments.out:
        display.check_path(Path(arguments.out))
    walk = gan.interpolate(arguments.frames, seed=arguments.seed, num=1, condition=condition)
    lines = [text for (text,), (before,) in zip(walk, [[None], *walk], strict=False) if text != before]
    if arguments.out:
        say(display.save_sheet(lines, Path(arguments.out), 1))
    else:
        say("\n".join(lines))
    return 0
