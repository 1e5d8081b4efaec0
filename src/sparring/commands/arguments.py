"""Arguments and output that several commands share."""

import argparse
from collections.abc import Callable
from typing import Any

from sparring.screen import say, say_json

Command = Callable[..., argparse.ArgumentParser]
"""Adds a command from its name, the function that runs it and its help text."""


MOST = 10**9
"""The largest number of samples, frames, steps or pixels that an option takes."""


class UsageError(ValueError):
    """The command line is wrong."""


RUN = "a run: its folder, the name of one that Sparring ships (digits), or a hub id such as someone/digits"


def add_run(parser: argparse.ArgumentParser, text: str = RUN) -> None:
    parser.add_argument("folder", metavar="RUN", help=text)
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: 0)")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")


def add_condition(parser: argparse.ArgumentParser, text: str = "class of the samples, by name or number") -> None:
    parser.add_argument("--class", dest="class_label", metavar="CLASS", help=text)
    parser.add_argument("--condition", metavar="0.3,1.2", help="the condition, for a GAN conditioned on numbers")


def condition_of(gan: Any, arguments: argparse.Namespace) -> str | None:
    """The value of --class or --condition, None if neither is given. Raises `UsageError` if it does not fit the GAN."""
    given = {"--class": arguments.class_label, "--condition": arguments.condition}
    condition = gan.spec.condition
    for option, value in given.items():
        if value is None:
            continue
        if not condition.option:
            condition.parse(value, 1)  # raises: the GAN has no condition
        elif option != condition.option:
            names = ", ".join(condition.names[:5]) + ", ..." * (condition.size > 5)
            raise UsageError(f"{option} {value} does not fit: this GAN has {condition.noun} ({names}); choose one with "
                             f"{condition.option}")  # fmt: skip
    return next((value for value in given.values() if value is not None), None)


def positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:20]) <= MOST:  # Python reads no number of 5,000 digits
        raise argparse.ArgumentTypeError(f"takes a whole number from 1 to {MOST:,}, not {text[:80]}")
    return int(text)


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    from sparring.data.dataset import printable

    if as_json:
        say_json(facts)
        return
    for name, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k}: {v}" for k, v in value.items())
        elif isinstance(value, list):
            value = ", ".join(map(str, value))
        say(printable(f"{name.replace('_', ' ')}: {value if value not in (None, '') else '-'}"))
