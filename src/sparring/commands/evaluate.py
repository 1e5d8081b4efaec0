"""`sparring evaluate` and `reconstruct`."""

import argparse
from pathlib import Path
from typing import Any

from sparring.commands.arguments import Command, add_run, positive, print_facts
from sparring.screen import note, say

PRINTED = 10  # texts printed with their reconstructions


def add(command: Command) -> None:
    evaluate = command(
        "evaluate", run_evaluate, "Compare generated samples with real ones: a trained GAN's, or samples in files."
    )
    add_run(evaluate, "a run: its folder, name or hub id; or samples in files (a folder, .npz, ...), which need --data")
    evaluate.add_argument(
        "--data", help="compare with this data (default: the run's held-out data; the training data for series)"
    )
    evaluate.add_argument("--resolution", type=positive, help="resize the samples and --data to this many pixels")
    evaluate.add_argument("--window", type=positive, help="cut both into series of this many steps")
    evaluate.add_argument("--stride", type=positive, help="steps between the starts of two windows")
    evaluate.add_argument("--fill-gaps", action="store_true", default=None, help="interpolate missing values of series")
    evaluate.add_argument("--frames", type=positive, help="cut both into clips of this many frames")
    evaluate.add_argument("--frame-step", type=positive, help="take every n-th frame of a video")
    evaluate.add_argument("--field", help="field of --data that holds the text")
    evaluate.add_argument("--num", type=positive, default=10_000, help="maximum number of samples (default: 10000)")
    evaluate.add_argument(
        "--metrics", nargs="+", metavar="NAME",
        help="only these metrics: frechet (or fd), c2st; for pictures near_copies, ...; for clips frames; for series "
        "predictive, autocorrelation, ...; for texts perplexity, bleu, diversity, copies, symbols",
    )  # fmt: skip
    evaluate.add_argument(
        "--extractor",
        help="feature extractor of pictures: digits, untrained, inception, dinov2:NAME, efficientnet-lite0:FILE or "
        "cifar10-resnet:FILE (default: by the data); of clips: untrained, or i3d:FILE for FVD",
    )
    evaluate.add_argument(
        "--repeats", type=positive, help="repeats of the series metrics that train networks (default: 5)"
    )
    evaluate.add_argument("--report", metavar="FILE.html", help="write a page with all scores and the samples")
    evaluate.add_argument("--neighbours", metavar="FILE.png", help="draw samples beside their nearest real samples")
    evaluate.add_argument("--json", action="store_true", help="print JSON")

    reconstruct = command("reconstruct", run_reconstruct, "Show real samples beside the codec's reconstructions.")
    add_run(reconstruct)
    reconstruct.add_argument("--num", type=positive, default=10, help="number of samples (default: 10)")
    reconstruct.add_argument("--out", help="the picture (default: reconstructed.png; reconstructed.txt for texts)")
    reconstruct.add_argument("--json", action="store_true", help="print JSON")


def run_evaluate(arguments: argparse.Namespace) -> int:
    from sparring.evaluation import open_compared, with_floors
    from sparring.report import NearestSamples, check_files, save_neighbours, write_report

    names = ("resolution", "window", "stride", "fill_gaps", "frames", "frame_step", "field")
    settings = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    compared = open_compared(
        arguments.folder, device=arguments.device, seed=arguments.seed, data=arguments.data, settings=settings
    )
    check_files(compared, arguments.report, arguments.neighbours)
    scores = compared.scores(
        num=arguments.num, repeats=arguments.repeats, seed=arguments.seed, extractor=arguments.extractor,
        chosen=arguments.metrics, report=note,
    )  # fmt: skip
    for warning in scores["warnings"]:
        note(f"warning: {warning}")
    facts = {"samples": compared.samples, "data": compared.data} | scores
    print_facts(facts if arguments.json else with_floors(facts), arguments.json)
    if arguments.neighbours or arguments.report:
        nearest = NearestSamples(compared, arguments.extractor)
        if arguments.neighbours:
            save_neighbours(nearest, Path(arguments.neighbours))
        if arguments.report:
            write_report(nearest, scores, Path(arguments.report))
    return 0


def run_reconstruct(arguments: argparse.Namespace) -> int:
    import torch

    import sparring
    from sparring.data.dataset import printable
    from sparring.pretrained import open_data_of

    gan = sparring.load(arguments.folder, arguments.device)
    dataset = open_data_of(gan)
    source = dataset.held_out or dataset
    chosen = torch.randperm(len(source), generator=torch.Generator().manual_seed(arguments.seed))[: arguments.num]
    samples = source.batch(chosen)[0]
    reconstructed = gan.reconstruct(samples)
    modality = gan.modality
    real = modality.to_user(samples, gan.spec)
    pairs = modality.interleaved(real, reconstructed)
    out = modality.display.save_sheet(pairs, Path(arguments.out or "reconstructed"), 2)
    codec = gan.codec
    error = codec.error(samples, codec.decode(codec.encode(samples.to(gan.device))).to(samples))
    facts: dict[str, Any] = {"codec": gan.config.codec.name, modality.error_name: error}
    lines = modality.display.lines
    if not arguments.json:
        for text, decoded in zip(lines(real)[:PRINTED], lines(reconstructed)[:PRINTED], strict=True):
            say(f"{printable(text)}\n    {printable(decoded)}")
    if samples.is_floating_point():
        spread = source.batch(torch.linspace(0, len(source) - 1, min(len(source), 64)).long())[0].var(0).mean()
        facts["share_of_variance_lost"] = error / spread.clamp_min(1e-12).item()
    print_facts(facts | {"picture": str(out)}, arguments.json)
    return 0
