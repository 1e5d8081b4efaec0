"""The command line. Results go to stdout, progress and errors to stderr; bad input ends with one line and code 2."""

import argparse
import dataclasses
import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

SHORT = {
    "num_samples": ("train.num_samples", "length of the run, in real samples seen"),
    "batch_size": ("train.batch_size", "samples a step"),
    "checkpoint_every": ("train.checkpoint_every", "samples between checkpoints"),
    "sample_every": ("train.sample_every", "samples between pictures"),
    "evaluate_every": ("train.evaluate_every", "samples between measurements; 0: never"),
    "until": ("train.until", "stop once a metric is there: 'frechet<=8', 'c2st<=0.6'"),
    "seed": ("train.seed", "everything random follows from it"),
    "device": ("train.device", "auto, cpu, cuda, cuda:N or mps"),
    "resolution": ("data.resolution", "crop to a square and resize to this many pixels a side"),
    "labels": ("data.labels", "a CSV of file,label"),
    "window": ("data.window", "steps of a sample cut from a long series"),
    "frames": ("data.frames", "frames of a clip"),
    "field": ("data.field", "field of a table or .jsonl that holds the text"),
    "split": ("data.split", "line or sentence: what of a text is a sample"),
    "tokenizer": ("data.tokenizer", "char, word or bpe: what texts are made of"),
    "loss": ("loss.name", "relativistic, non-saturating, minimax, hinge, least-squares or wasserstein"),
}


class UsageError(ValueError):
    """The command line itself is wrong."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see `{self.prog} --help`")


def build_parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="sparring", description="Adversarial generation with transformers.")
    parser.add_argument("--version", action="version", version=_version())
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)

    def command(name: str, run: Any, text: str, **kwargs: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False, **kwargs)
        sub.set_defaults(run=run)
        return sub

    train = command(
        "train", run_train, "Train a GAN, or go on where the run in --out stopped.",
        epilog="Any other setting: --SECTION.NAME VALUE, e.g. --model.depth 6. `sparring train --help-all` lists them.",
    )  # fmt: skip
    train.add_argument(
        "data", nargs="?", help="digits, sines, bouncing, names, a folder, .zip, film, table, array, text, or hf:NAME"
    )
    train.add_argument("--out", help="the run's folder (default: runs/DATA)")
    train.add_argument("--preset", help="start from this preset (default: the one for DATA)")
    train.add_argument("--size", help="XS, S, B, L or XL, for any images (default: S)")
    for name, (_, text) in SHORT.items():
        train.add_argument("--" + name.replace("_", "-"), metavar="N" if "samples" in text else None, help=text)
    train.add_argument("--unconditional", action="store_true", help="ignore the data's classes")
    train.add_argument("--help-all", action="store_true", help="list every setting")
    train.add_argument("--json", action="store_true", help="print the result as JSON")

    sample = command("sample", run_sample, "Draw samples from a trained GAN.")
    _add_run(sample)
    sample.add_argument("--num", type=_positive, default=64, help="how many (default: 64)")
    sample.add_argument(
        "--out",
        help="all in one (.png; .csv of series; .webp, .gif, .mp4 of clips; .txt, .jsonl of texts, which are printed "
        "where no file is named), .npz, or a folder for single files",
    )
    sample.add_argument("--plot", metavar="FILE.png", help="series: generated beside real ones")
    sample.add_argument("--class", dest="class_label", metavar="CLASS", help="only this class, by name or number")
    sample.add_argument(
        "--reject", type=float, default=0.0, help="share thrown away, of which the discriminator believes least: 0.5"
    )
    sample.add_argument("--json", action="store_true", help="print JSON")
    sample.add_argument("--truncation", type=float, default=1.0, help="below 1: more typical, less diverse")

    walk = command("interpolate", run_interpolate, "Film a walk through the generator's z; of texts, print one.")
    _add_run(walk)
    walk.add_argument("--out", help=".gif, .webp, or .mp4 (extra: video); of texts .txt (default: walk.webp)")
    walk.add_argument("--num", type=_positive, default=16, help="samples side by side (default: 16)")
    walk.add_argument("--frames", type=_positive, default=120, help="length (default: 120, at 30 a second)")
    walk.add_argument("--class", dest="class_label", metavar="CLASS", help="only this class, by name or number")

    evaluate = command(
        "evaluate", run_evaluate, "Measure samples, a trained GAN's or made elsewhere, beside real ones."
    )
    _add_run(evaluate, "a run's folder, a hub id, or samples made elsewhere: a folder, .npz, ... (these need --data)")
    evaluate.add_argument("--data", help="compare with this data instead of what the run held out")
    evaluate.add_argument("--resolution", type=_positive, help="of samples made elsewhere, and of --data: resize both")
    evaluate.add_argument("--window", type=_positive, help="the same for series: steps of a sample")
    evaluate.add_argument("--frames", type=_positive, help="the same for clips")
    evaluate.add_argument("--field", help="texts: the field of --data")
    evaluate.add_argument("--num", type=_positive, default=10_000, help="samples compared, at most (default: 10000)")
    evaluate.add_argument(
        "--metrics", nargs="+", metavar="NAME", help="of pictures and series: only these (frechet, c2st)"
    )
    evaluate.add_argument(
        "--extractor",
        help="of pictures' features: digits, untrained, inception, dinov2:NAME, efficientnet-lite0:FILE or "
        "cifar10-resnet:FILE (default: by the data)",
    )
    evaluate.add_argument("--repeats", type=_positive, default=5, help="of scores that train a network (default: 5)")
    evaluate.add_argument("--report", metavar="FILE.html", help="a page with all of it, and the samples")
    evaluate.add_argument("--neighbours", metavar="FILE.png", help="samples beside the real ones nearest to them")
    evaluate.add_argument("--json", action="store_true", help="print JSON")

    reconstruct = command("reconstruct", run_reconstruct, "Show what the codec keeps: samples beside what comes back.")
    _add_run(reconstruct)
    reconstruct.add_argument("--num", type=_positive, default=10, help="how many (default: 10)")
    reconstruct.add_argument("--out", help="the picture (default: reconstructed.png; of texts .txt)")
    reconstruct.add_argument("--json", action="store_true", help="print JSON")

    info = command("info", run_info, "Say what is in a run's folder.")
    info.add_argument("folder", metavar="RUN")
    info.add_argument("--json", action="store_true", help="print JSON")

    data = command("data", run_data, "Say what was understood of a data set, and draw a grid of it.")
    data.add_argument("data")
    data.add_argument("--resolution", type=_positive, help="crop to a square and resize")
    data.add_argument("--labels", help="a CSV of file,label")
    data.add_argument("--window", type=_positive, help="steps of a sample cut from a long series")
    data.add_argument("--stride", type=_positive, help="steps between the starts of two windows")
    data.add_argument("--fill-gaps", action="store_true", help="interpolate missing values of series")
    data.add_argument("--frames", type=_positive, help="frames of a clip")
    data.add_argument("--frame-step", type=_positive, help="take every n-th frame")
    data.add_argument("--field", help="field of a table or .jsonl that holds the text")
    data.add_argument("--split", choices=("line", "sentence"), help="what of a text is a sample")
    data.add_argument("--tokenizer", choices=("char", "word", "bpe"), help="what texts are made of")
    data.add_argument("--length", type=_positive, help="symbols of the longest text")
    data.add_argument("--out", help="the picture (default: data-sheet.png; of texts .txt)")
    data.add_argument("--json", action="store_true", help="print JSON")

    presets = command("presets", run_presets, "List the presets.")
    presets.add_argument("--json", action="store_true", help="print JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    try:
        parser = build_parser()
        arguments, extra = parser.parse_known_args(argv)
        if extra and arguments.command != "train":
            raise UsageError(f"unrecognized arguments: {' '.join(extra)}; see `sparring {arguments.command} --help`")
        arguments.extra = extra
        return int(arguments.run(arguments) or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _fail("the disk is full: free some space and run the same command again; what was saved is whole", 2)
        return _fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), 2)
    except ValueError as error:  # UsageError, ConfigError, DataError, CheckpointError: one line that says what to do
        return _fail(str(error), 2)
    except (RuntimeError, MemoryError) as error:
        return _fail(_explain(error), 2)


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

    from sparring.progress import TrainingProgress
    from sparring.training.run import Interrupted, train

    config, dataset = _configure(arguments, changes)
    out = Path(arguments.out or Path("runs") / (Path(arguments.data.replace(":", "/")).stem or "run"))
    with TrainingProgress() as progress:
        try:
            verdict = train(config, out, dataset=dataset, report=progress.report, say=progress.say)
        except Interrupted as interruption:
            progress.say(f"interrupted and saved; the same command goes on from here ({out})")
            return 128 + interruption.signal
    if arguments.json:
        print(json.dumps({"out": str(out), "status": verdict.status, "verdict": verdict.text}))
    else:
        from sparring.showing import sheet_suffix

        sheet = f"samples{sheet_suffix(dataset.sample_shape)}"
        print(f"{verdict.text}\n{out}/{sheet}  {out}/training.png  {out}/model.safetensors")
    return 0


def _configure(arguments: argparse.Namespace, changes: dict[str, Any]) -> Any:
    """The configuration and the data, opened once: the preset follows from the data unless one is named."""
    from sparring import presets
    from sparring.config import Config, ConfigError
    from sparring.data import BUILT_IN, open_dataset

    built_in = arguments.data in BUILT_IN and arguments.data in presets.PRESETS
    name = arguments.preset or (arguments.data if built_in else None)
    if name is not None and name not in presets.PRESETS:
        raise ConfigError(f"there is no preset {name}; choose from {', '.join(presets.PRESETS)}")
    if name not in (None, "images") and arguments.size:
        raise ConfigError(f"--size goes with any images; the preset {name} sets --model.width and --model.depth itself")
    preset = presets.PRESETS[name] if name else None
    of_data = {key: value for key, value in changes.items() if key.startswith("data.")}
    data = (preset.make(preset.shape) if preset else Config()).replace(of_data).data
    dataset = open_dataset(**dataclasses.asdict(data))
    if len(dataset.sample_shape) != 3 and arguments.size:
        raise ConfigError("--size goes with images: drop it, and set --model.width and --model.depth")
    if preset and len(preset.shape) != len(dataset.sample_shape):
        raise ConfigError(f"the preset {name} is not for samples of shape {dataset.sample_shape}: drop --preset")
    if preset is None or name == "images":
        config = presets.preset_for(dataset.sample_shape, arguments.size or "S")
    else:
        config = preset.make(dataset.sample_shape)
    if "loss.name" in changes:
        config = presets.with_loss(config, changes["loss.name"])
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


def run_sample(arguments: argparse.Namespace) -> int:
    import sparring
    from sparring import showing

    gan = sparring.load(arguments.folder, arguments.device)
    out = Path(arguments.out or f"samples{showing.showing_of(gan.spec.sample_shape).together[0]}")
    showing.check_out(out, gan.spec)
    if arguments.plot and gan.spec.channels is None:
        raise UsageError("--plot draws series, and this GAN makes none: drop it")
    samples = gan.sample(
        arguments.num,
        seed=arguments.seed,
        class_labels=arguments.class_label,
        truncation_psi=arguments.truncation,
        reject=arguments.reject,
    )
    if isinstance(samples, list) and not arguments.out:
        print(json.dumps(samples, ensure_ascii=False) if arguments.json else "\n".join(samples))
        return 0
    showing.save(samples, out, gan.spec)
    if arguments.plot:
        from sparring.sampling import class_indices

        wanted = None
        if arguments.class_label is not None:
            wanted = int(class_indices(arguments.class_label, 1, gan.class_names))
        _plot_beside_real(gan, samples, wanted, Path(arguments.plot))
    print(json.dumps({"out": str(out)}) if arguments.json else out)
    return 0


def _plot_beside_real(gan: Any, samples: Any, wanted: int | None, path: Path) -> None:
    import torch

    from sparring import plots
    from sparring.models.networks import DataSpec
    from sparring.pretrained import open_data_of

    dataset = open_data_of(gan)
    places = torch.arange(len(dataset)) if wanted is None else (dataset.labels() == wanted).nonzero().flatten()
    shown = places[torch.linspace(0, len(places) - 1, min(len(places), len(samples))).long()]
    plots.compare(samples, DataSpec.of(dataset).finish(dataset.batch(shown)[0]), gan.spec.channels.names, path)


def run_interpolate(arguments: argparse.Namespace) -> int:
    import sparring
    from sparring import films, showing

    path = Path(arguments.out or "walk.webp")
    gan = sparring.load(arguments.folder, arguments.device)
    if gan.spec.vocabulary is not None:
        return _print_walk(gan, arguments)
    films.check_format(path)
    walk = gan.interpolate(arguments.frames, seed=arguments.seed, num=arguments.num, class_labels=arguments.class_label)
    films.save(showing.film(walk), path)
    print(path)
    return 0


def _print_walk(gan: Any, arguments: argparse.Namespace) -> int:
    """From one text to another and back, each once where neighbours are alike."""
    from sparring import showing

    if arguments.out:
        showing.check_out(Path(arguments.out), gan.spec)
    walk = gan.interpolate(arguments.frames, seed=arguments.seed, num=1, class_labels=arguments.class_label)
    lines = [text for (text,), (before,) in zip(walk, [[None], *walk], strict=False) if text != before]
    if arguments.out:
        print(showing.save_sheet(lines, Path(arguments.out), 1))
    else:
        print("\n".join(lines))
    return 0


def run_evaluate(arguments: argparse.Namespace) -> int:
    from sparring.evaluation import beside_floors, open_compared
    from sparring.report import Look, check_files, save_neighbours, write_report

    settings = {name: getattr(arguments, name) for name in ("resolution", "window", "frames", "field")}
    compared = open_compared(
        arguments.folder, device=arguments.device, seed=arguments.seed, data=arguments.data, settings=settings
    )
    check_files(compared, arguments.report, arguments.neighbours)
    scores = compared.scores(
        num=arguments.num, repeats=arguments.repeats, seed=arguments.seed, extractor=arguments.extractor,
        chosen=arguments.metrics, report=lambda line: print(line, file=sys.stderr),
    )  # fmt: skip
    for warning in scores["warnings"]:
        print(f"warning: {warning}", file=sys.stderr)
    facts = {"samples": compared.samples, "data": compared.data} | scores
    _print_facts(facts if arguments.json else beside_floors(facts), arguments.json)
    if arguments.neighbours or arguments.report:
        look = Look(compared, arguments.extractor)
        if arguments.neighbours:
            save_neighbours(look, Path(arguments.neighbours))
        if arguments.report:
            write_report(look, scores, Path(arguments.report))
    return 0


def run_reconstruct(arguments: argparse.Namespace) -> int:
    import torch

    import sparring
    from sparring import showing
    from sparring.pretrained import open_data_of

    gan = sparring.load(arguments.folder, arguments.device)
    dataset = open_data_of(gan)
    source = dataset.held_out or dataset
    chosen = torch.randperm(len(source), generator=torch.Generator().manual_seed(arguments.seed))[: arguments.num]
    samples = source.batch(chosen)[0]
    back = gan.reconstruct(samples)
    out = showing.save_sheet(showing.beside(gan.spec.finish(samples), back), Path(arguments.out or "reconstructed"), 2)
    codec = gan.codec
    error = codec.error(samples, codec.expand(codec.compress(samples.to(gan.device))).to(samples))
    facts: dict[str, Any] = {"codec": gan.config.codec.name}
    if gan.spec.vocabulary is not None:
        facts["share_of_symbols_wrong"] = error
    else:
        spread = source.batch(torch.linspace(0, len(source) - 1, min(len(source), 64)).long())[0].var(0).mean()
        facts |= {"mean_squared_error": error, "share_of_variance_lost": error / spread.clamp_min(1e-12).item()}
    _print_facts(facts | {"picture": str(out)}, arguments.json)
    return 0


def run_info(arguments: argparse.Namespace) -> int:
    import sparring
    from sparring.training.checkpoint import Checkpoints

    folder = Path(arguments.folder)
    gan = sparring.load(folder, "cpu")
    states = Checkpoints(folder / "checkpoints", 1).paths()
    verdict = folder / "verdict.txt"
    facts = {
        "run": str(folder),
        "data": gan.config.data.path,
        "sample_shape": list(gan.spec.sample_shape),
        "classes": list(gan.class_names),
        "generator_parameters": sum(p.numel() for p in gan.generator.parameters()),
        "discriminator_parameters": sum(p.numel() for p in gan.discriminator.parameters()),
        "samples_seen": int(states[-1].stem) if states else None,
        "num_samples": gan.config.train.num_samples
        + (gan.config.codec.num_samples if gan.config.codec.name != "patch" else 0),
        "loss": gan.config.loss.name,
        "verdict": verdict.read_text(encoding="utf-8").strip() if verdict.exists() else None,
    }
    _print_facts(facts, arguments.json)
    return 0


def run_data(arguments: argparse.Namespace) -> int:
    import torch

    from sparring import showing
    from sparring.data import open_dataset
    from sparring.models.networks import DataSpec

    options = (
        "resolution", "labels", "window", "stride", "fill_gaps", "frames", "frame_step", "field", "split", "tokenizer",
        "length",
    )  # fmt: skip
    dataset = open_dataset(arguments.data, **{name: getattr(arguments, name) for name in options})
    shown = torch.linspace(0, len(dataset) - 1, min(100, len(dataset))).long()
    samples = DataSpec.of(dataset).finish(dataset.batch(shown)[0])
    path = Path(arguments.out or "data-sheet")
    if path.exists() and Path(arguments.data).exists() and path.samefile(arguments.data):
        raise UsageError(f"--out {path} is the data itself: name another file")
    out = showing.save_sheet(samples, path)
    _print_facts(dataset.describe() | {"picture": str(out)}, arguments.json)
    return 0


def run_presets(arguments: argparse.Namespace) -> int:
    from sparring.presets import PRESETS, SIZES

    rows = [
        {"preset": name, "size": size, "data": p.data, "time": p.time, "quality": p.quality}
        for name, p in PRESETS.items()
        for c in [p.make(p.shape)]
        for size in [f"width {c.model.width}, depth {c.model.depth}, {c.train.num_samples:,} samples"]
    ]
    if arguments.json:
        print(json.dumps(rows))
        return 0
    for row in rows:
        print(f"{row['preset']:22}{row['data']}\n{'':22}{row['size']}\n{'':22}{row['time']}; {row['quality']}")
    sizes = ", ".join(f"{name} (width {w}, depth {d})" for name, (w, d, _) in SIZES.items())
    print(f"--size for images: {sizes}")
    return 0


def _add_run(parser: argparse.ArgumentParser, text: str = "a run's folder, or a hub id like someone/digits") -> None:
    parser.add_argument("folder", metavar="RUN", help=text)
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number above 0, not {text}")
    return int(text)


def _print_settings() -> int:
    from sparring.config import describe

    for name, kind, default, text in describe():
        print(f"--{name} ({kind}; {'none' if default is None else default})\n    {text}")
    return 0


def _print_facts(facts: dict[str, Any], as_json: bool) -> None:
    from sparring.data.dataset import printable

    if as_json:
        print(json.dumps(facts))
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k}: {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        print(printable(f"{name.replace('_', ' ')}: {value if value not in (None, '') else '-'}"))


def _explain(error: RuntimeError | MemoryError) -> str:
    text = str(error)
    if (
        isinstance(error, MemoryError)
        or "out of memory" in text
        or "not enough memory" in text
        or "can't allocate memory" in text
    ):
        return (
            "out of memory: lower --train.micro_batch_size (it must divide --batch-size) or --codec.batch_size, then "
            "--model.width or --size, then --resolution; for texts --data.vocabulary"
        )
    if type(error) is RuntimeError:
        raise error
    return text


def _fail(message: str, code: int) -> int:
    shown = "".join(c for c in message if c.isprintable() or c.isspace())  # names in it may be a stranger's
    print(f"sparring: {' '.join(shown.split())}", file=sys.stderr)
    return code


def _version() -> str:
    import sparring

    return f"sparring {sparring.__version__}"
