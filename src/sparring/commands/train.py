"""`sparring train`."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparring.commands.arguments import Command, UsageError
from sparring.screen import say, say_json

SHORT = {
    "num_samples": ("train.num_samples", "length of the run, in real samples"),
    "batch_size": ("train.batch_size", "samples per step"),
    "checkpoint_every": ("train.checkpoint_every", "samples between checkpoints"),
    "sample_every": ("train.sample_every", "samples between pictures"),
    "evaluate_every": ("train.evaluate_every", "samples between evaluations; 0: never"),
    "until": ("train.until", "stop when a metric reaches this goal: 'frechet<=8', 'c2st<=0.6'"),
    "from": ("train.init_from", "fine-tune: start from the weights and settings of a run"),
    "seed": ("train.seed", "random seed of the whole run"),
    "device": ("train.device", "auto, cpu, cuda, cuda:N or mps"),
    "resolution": ("data.resolution", "crop to a square and resize to this many pixels a side"),
    "labels": ("data.labels", "a CSV file with the columns file,label"),
    "condition": (
        "data.condition",
        "condition on numbers: `numbers` reads the labels as such; or a .npz, .npy or .csv file",
    ),
    "window": ("data.window", "steps per sample; longer series are cut"),
    "stride": ("data.stride", "steps between the starts of two windows (default: 1)"),
    "frames": ("data.frames", "frames per clip"),
    "frame_step": ("data.frame_step", "take every n-th frame of a video (default: every one)"),
    "field": ("data.field", "field of a table or .jsonl that holds the text"),
    "split": ("data.split", "line or sentence: the unit of a text that is one sample"),
    "tokenizer": ("data.tokenizer", "char, word or bpe: tokenizer of texts"),
    "vocabulary": ("data.vocabulary", "maximum vocabulary size"),
    "length": ("data.length", "maximum length of a text, in tokens"),
    "loss": ("loss.name", "relativistic, non-saturating, minimax, hinge, least-squares or wasserstein"),
}


def add(command: Command) -> None:
    train = command(
        "train", run_train, "Train a GAN, or resume the run in --out.",
        epilog="Any other setting: --SECTION.NAME VALUE, e.g. --model.depth 6. `sparring train --help-all` lists them.",
    )  # fmt: skip
    train.add_argument(
        "data", nargs="?", help="digits, sines, bouncing, names, a folder, .zip, video, table, array, text, or hf:NAME"
    )
    train.add_argument("--out", help="the run's folder (default: runs/DATA)")
    train.add_argument("--preset", help="the preset to start from (default: the one for DATA)")
    train.add_argument("--size", help="XS, S, B, L or XL: width and depth of the networks (default: the preset's)")
    for name, (_, text) in SHORT.items():
        train.add_argument("--" + name.replace("_", "-"), metavar="N" if "samples" in text else None, help=text)
    train.add_argument("--fill-gaps", action="store_true", help="interpolate missing values of series")
    train.add_argument("--unconditional", action="store_true", help="ignore the data's classes")
    train.add_argument("--help-all", action="store_true", help="list every setting")
    train.add_argument("--json", action="store_true", help="print the result as JSON")


def run_train(arguments: argparse.Namespace) -> int:
    if arguments.help_all:
        return _print_settings()
    if arguments.data is None:
        raise UsageError("name the data, e.g. `sparring train digits`; see `sparring train --help`")
    changes = {"data.path": arguments.data}
    changes |= {full: getattr(arguments, name) for name, (full, _) in SHORT.items() if getattr(arguments, name)}
    changes |= _settings(arguments.extra)
    if arguments.unconditional:
        changes["data.conditional"] = "false"
    if arguments.fill_gaps:
        changes["data.fill_gaps"] = "true"

    from sparring.progress import TrainingProgress
    from sparring.training.run import Interrupted, train

    config, dataset = _configure(arguments, changes)
    out = Path(arguments.out or Path("runs") / (Path(arguments.data.replace(":", "/")).stem or "run"))
    with TrainingProgress() as progress:
        try:
            verdict = train(config, out, dataset=dataset, report=progress.report, log=progress.log)
        except Interrupted as interruption:
            progress.log(f"interrupted and saved; the same command resumes the run ({out})")
            return 128 + interruption.signal
    if arguments.json:
        say_json({"out": str(out), "status": verdict.status, "verdict": verdict.text})
    else:
        from sparring.modalities.registry import modality_of

        sheet = f"samples{modality_of(dataset).display.sheet_suffix}"
        say(f"{verdict.text}\n{out}/{sheet}  {out}/training.png  {out}/model.safetensors")
    return 0


def _configure(arguments: argparse.Namespace, changes: dict[str, Any]) -> Any:
    """The configuration and the data, opened once. Without --preset, the data determine the preset."""
    from sparring import presets
    from sparring.config import Config
    from sparring.data.spec import DataSpec
    from sparring.modalities.registry import built_in_names, open_dataset

    if start := changes.get("train.init_from"):
        from sparring.pretrained import find_run, read_config

        if given := next((name for name in ("preset", "size") if getattr(arguments, name)), None):
            raise UsageError(f"--{given} has no effect with --from, which takes all settings of {start}: drop it")
        config = read_config(find_run(start))[0]
        own = {f"data.{name}": value for name, value in config.data.elsewhere(arguments.data).items()}
        config = config.replace(own | {"train.device": "auto"} | changes)
        return config, open_dataset(**config.data.to_dict())
    built_in = arguments.data in built_in_names() and arguments.data in presets.all_presets()
    name = arguments.preset or (arguments.data if built_in else None)
    preset = presets.preset_named(name) if name else None
    of_data = {key: value for key, value in changes.items() if key.startswith("data.")}
    data = (preset.make(preset.shape) if preset else Config()).replace(of_data).data
    dataset = open_dataset(**data.to_dict())
    config = presets.configured(DataSpec.of(dataset), len(dataset), name=name, size=arguments.size)
    if "loss.name" in changes:
        config = presets.with_loss(config, changes["loss.name"])
    if "train.until" in changes and not config.train.evaluate_every:  # the preset evaluates nothing
        config = config.replace({"train.evaluate_every": config.train.sample_every})
    return config.replace(changes), dataset


def _settings(words: Sequence[str]) -> dict[str, str]:
    """`--section.name value` and `--section.name=value` pairs."""
    settings, rest = {}, list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.removeprefix("--").partition("=")
        if not word.startswith("--"):
            raise UsageError(f"{word} is one word too many: DATA is a single name or path")
        if "." not in name:
            from sparring.config import suggest

            raise UsageError(f"there is no option --{name}{suggest(name, [n.replace('_', '-') for n in SHORT])}")
        if not equals:
            if not rest or rest[0].startswith("--"):
                raise UsageError(f"--{name} needs a value, e.g. --{name} 1")
            value = rest.pop(0)
        settings[name] = value
    return settings


def _print_settings() -> int:
    from sparring.config import describe

    for name, kind, default, text in describe():
        print(f"--{name} ({kind}; {'none' if default is None else default})\n    {text}")
    return 0
