"""`sparring share`."""

import argparse
import sys
from pathlib import Path

from sparring.commands.arguments import RUN, Command, print_facts


def add(command: Command) -> None:
    share = command("share", run_share, "Write one HTML file that contains the model and samples in any browser.")
    share.add_argument("folder", metavar="RUN", help=RUN)
    share.add_argument("--out", help="the page (default: the run's name and .html)")
    share.add_argument("--title", help="title of the page (default: the run's name)")
    share.add_argument("--licence", help="licence of the weights, shown on the page: Apache-2.0, CC-BY-4.0")
    share.add_argument(
        "--precision",
        choices=("float16", "float32"),
        default="float16",
        help="precision of the stored weights (default: float16)",
    )
    share.add_argument(
        "--runtime", type=Path, metavar="FILE.tgz", help="the npm package of onnxruntime-web (default: downloaded once)"
    )
    share.add_argument("--json", action="store_true", help="print JSON")


def run_share(arguments: argparse.Namespace) -> int:
    import sparring
    from sparring.files import file_name
    from sparring.pretrained import run_title
    from sparring.share import share

    title = arguments.title or run_title(arguments.folder)
    written = share(
        sparring.load(arguments.folder, "cpu"), Path(arguments.out or f"{file_name(title)}.html"), title=title,
        precision=arguments.precision, licence=arguments.licence, runtime=arguments.runtime,
    )  # fmt: skip
    print_facts(
        {"out": str(written.path), "bytes": written.size, "bytes_of_the_model": written.model_size}, arguments.json
    )
    print("open it in a browser: its footer shows the time until the first samples", file=sys.stderr)
    return 0
