"""`sparring explore`."""

import argparse
from pathlib import Path

from sparring.commands.arguments import Command, add_run

PORT = 7801


def add(command: Command) -> None:
    explore = command("explore", run_explore, "Explore a GAN in a local web page, also while it trains.")
    add_run(explore)
    explore.add_argument("--port", type=_port, default=PORT, help=f"first port to try (default: {PORT})")
    explore.add_argument("--no-browser", action="store_true", help="only print the page's address")
    explore.add_argument(
        "--latents", metavar="FILE.safetensors", help="also show these latents, written by `sparring project`"
    )


def run_explore(arguments: argparse.Namespace) -> int:
    from sparring.config import ConfigError

    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError:
        raise ConfigError('the explorer needs its extra: pip install "sparring[app]"') from None

    import torch

    from sparring.device import choose_threads
    from sparring.explorer.model import Model
    from sparring.explorer.points import SEEDS
    from sparring.explorer.serve import serve

    if not 0 <= arguments.seed < SEEDS:
        raise ConfigError(f"--seed takes a number from 0 to {SEEDS - 1} here, not {arguments.seed}")
    try:
        latents = Path(arguments.latents) if arguments.latents else None
        model = Model(arguments.folder, device=arguments.device, seed=arguments.seed, latents=latents)
        torch.set_num_threads(choose_threads(lambda: model.gan.sample(8), model.gan.device)[0])
        serve(model, arguments.port, browser=not arguments.no_browser)
    except KeyboardInterrupt:
        pass  # Ctrl-C is the normal end
    return 0


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise argparse.ArgumentTypeError(f"takes a number from 1 to 65535, not {text}")
    return int(text)
