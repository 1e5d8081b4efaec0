"""`sparring info`, `data` and `presets`."""

import argparse
import json
import math
from pathlib import Path

from sparring.commands.arguments import Command, UsageError, positive, print_facts

LARGEST_SHEET = 64 * 2**20  # numbers in all samples of a sheet; photographs at camera size would take gigabytes


def add(command: Command) -> None:
    info = command("info", run_info, "Describe a run.")
    info.add_argument("folder", metavar="RUN")
    info.add_argument("--json", action="store_true", help="print JSON")

    data = command("data", run_data, "Describe a data set as Sparring reads it, and draw a grid of its samples.")
    data.add_argument("data")
    data.add_argument("--resolution", type=positive, help="crop to a square and resize")
    data.add_argument("--labels", help="a CSV file with the columns file,label")
    data.add_argument(
        "--condition", help="condition on numbers: `numbers` reads the labels as such; or a .npz, .npy or .csv file"
    )
    data.add_argument("--window", type=positive, help="steps per sample; longer series are cut")
    data.add_argument("--stride", type=positive, help="steps between the starts of two windows")
    data.add_argument("--fill-gaps", action="store_true", help="interpolate missing values of series")
    data.add_argument("--frames", type=positive, help="frames per clip")
    data.add_argument("--frame-step", type=positive, help="take every n-th frame")
    data.add_argument("--field", help="field of a table or .jsonl that holds the text")
    data.add_argument("--split", choices=("line", "sentence"), help="the unit of a text that is one sample")
    data.add_argument("--tokenizer", choices=("char", "word", "bpe"), help="tokenizer of texts")
    data.add_argument("--vocabulary", type=positive, help="maximum vocabulary size")
    data.add_argument("--length", type=positive, help="maximum length of a text, in tokens")
    data.add_argument("--out", help="the picture (default: data-sheet.png; data-sheet.txt for texts)")
    data.add_argument("--json", action="store_true", help="print JSON")

    presets = command("presets", run_presets, "List the presets.")
    presets.add_argument("--json", action="store_true", help="print JSON")


def run_info(arguments: argparse.Namespace) -> int:
    import sparring
    from sparring.models.initialization import parameter_count
    from sparring.pretrained import find_run
    from sparring.training.logs import logged_rows, verdict_of

    folder = find_run(arguments.folder)
    gan = sparring.load(folder, "cpu")
    rows = logged_rows(folder)
    facts = {
        "run": str(folder),
        "data": gan.config.data.path,
        "sample_shape": list(gan.spec.sample_shape),
        gan.spec.condition.noun: list(gan.spec.condition.names),
        "generator_parameters": parameter_count(gan.generator),
        "discriminator_parameters": parameter_count(gan.networks.critics),
        "samples_seen": int(rows[-1]["samples_seen"]) if rows else None,
        "num_samples": gan.config.train.num_samples + gan.config.codec_samples,
        "loss": gan.config.loss.name,
        "verdict": verdict_of(folder),
    }
    print_facts(facts, arguments.json)
    return 0


def run_data(arguments: argparse.Namespace) -> int:
    import torch

    from sparring.data.spec import DataSpec
    from sparring.modalities.registry import modality_of, open_dataset

    options = (
        "resolution", "labels", "condition", "window", "stride", "fill_gaps", "frames", "frame_step", "field", "split",
        "tokenizer", "vocabulary", "length",
    )  # fmt: skip
    dataset = open_dataset(arguments.data, **{name: getattr(arguments, name) for name in options})
    most = max(1, LARGEST_SHEET // math.prod(dataset.sample_shape))
    shown = torch.linspace(0, len(dataset) - 1, min(100, len(dataset), most)).long()
    modality = modality_of(dataset)
    samples = modality.to_user(dataset.batch(shown)[0], DataSpec.of(dataset))
    path = Path(arguments.out or "data-sheet")
    if path.exists() and Path(arguments.data).exists() and path.samefile(arguments.data):
        raise UsageError(f"--out {path} is the data itself: choose another file")
    out = modality.display.save_sheet(samples, path)
    print_facts(dataset.describe() | {"picture": str(out)}, arguments.json)
    return 0


def run_presets(arguments: argparse.Namespace) -> int:
    from sparring.presets import SIZES, all_presets

    rows = [
        {"preset": name, "size": size, "data": p.data, "time": p.time, "quality": p.quality}
        for name, p in all_presets().items()
        for c in [p.make(p.shape)]
        for size in [f"width {c.model.width}, depth {c.model.depth}, {c.train.num_samples:,} samples"]
    ]
    if arguments.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        print(f"{row['preset']:22}{row['data']}\n{'':22}{row['size']}\n{'':22}{row['time']}; {row['quality']}")
    sizes = ", ".join(f"{name} (width {w}, depth {d})" for name, (w, d, _) in SIZES.items())
    print(f"--size, for every modality: {sizes}")
    return 0
