"""What the commands' arguments and results have in common."""

import argparse
import json
from collections.abc import Callable
from typing import Any

Command = Callable[..., argparse.ArgumentParser]
"""Adds a command: its name, the function that runs it, and a line about it."""


class UsageError(ValueError):
    """The command line itself is wrong."""


RUN = "a run's folder, one that comes with Sparring (digits), or a hub id like someone/digits"


def add_run(parser: argparse.ArgumentParser, text: str = RUN) -> None:
    parser.add_argument("folder", metavar="RUN", help=text)
    parser.add_argument("--seed", type=int, default=0, help="(default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"takes a whole number above 0, not {text}")
    return int(text)


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
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
