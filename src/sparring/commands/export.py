"""`sparring export`."""

import argparse
from pathlib import Path

from sparring.commands.arguments import RUN, Command, UsageError, print_facts


def add(command: Command) -> None:
    export = command("export", run_export, "Write a trained GAN to a file that runs without Sparring, and check it.")
    export.add_argument("folder", metavar="RUN", help=RUN)
    export.add_argument("--format", choices=("onnx", "pt2"), help="format (default: the suffix of --out, else onnx)")
    export.add_argument("--out", help="the file (default: the run's name and .onnx or .pt2)")
    export.add_argument(
        "--precision",
        choices=("float32", "float16"),
        default="float32",
        help="precision of the stored weights (default: float32)",
    )
    export.add_argument("--licence", help="licence of the weights, for the metadata: Apache-2.0, CC-BY-4.0")
    export.add_argument("--json", action="store_true", help="print JSON")


def run_export(arguments: argparse.Namespace) -> int:
    import sparring
    from sparring.export import OPSET, export
    from sparring.files import file_name
    from sparring.pretrained import run_title

    suffix = f".{arguments.format or 'onnx'}"
    out = Path(arguments.out or file_name(run_title(arguments.folder)) + suffix)
    if arguments.format and out.suffix.lower() != suffix:
        raise UsageError(f"--out {out} does not end in {suffix}: drop --format, or choose another file")
    gan = sparring.load(arguments.folder, "cpu")
    written = export(gan, out, precision=arguments.precision, licence=arguments.licence)
    facts = {"out": str(out), "bytes": written.size, "weights": written.precision}
    facts |= {"opset": OPSET} if out.suffix.lower() == ".onnx" else {}
    print_facts(facts | {"apart_from_pytorch": written.difference}, arguments.json)
    return 0
