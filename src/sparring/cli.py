"""The command line. Results go to stdout, progress and errors to stderr. Bad input prints one line and exits with 2."""

import argparse
import errno
import io
import sys
import warnings
from collections.abc import Sequence
from typing import Any, NoReturn

from sparring.commands import describe, evaluate, explore, export, hub, project, sample, share, train
from sparring.commands.arguments import UsageError

PLUGINS = "sparring.plugins"
"""Entry-point group: the modules of an installed package that register codecs, critics or others."""


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

    for family in (train, sample, evaluate, project, explore, export, share, hub, describe):
        family.add(command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal or pipe that is not UTF-8: escapes, and no failure
            stream.reconfigure(errors="backslashreplace")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # about damage to pictures, of which the commands tell
        return _run(argv)


def _run(argv: Sequence[str] | None) -> int:
    try:
        parser = build_parser()
        arguments, extra = parser.parse_known_args(argv)
        if extra and arguments.command != "train":
            raise UsageError(f"unrecognized arguments: {' '.join(extra)}; see `sparring {arguments.command} --help`")
        arguments.extra = extra
        _load_plugins()
        return int(arguments.run(arguments) or 0)
    except KeyboardInterrupt:
        return _fail("interrupted", 130)
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    except OSError as error:
        if error.errno == errno.ENOSPC:
            return _fail("the disk is full: free some space and run the same command again; saved files are intact", 2)
        return _fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "), 2)
    except ValueError as error:  # UsageError, ConfigError, DataError, CheckpointError: one line with the remedy
        return _fail(str(error), 2)
    except (RuntimeError, MemoryError) as error:
        return _fail(_explain(error), 2)


def _load_plugins() -> None:
    """Imports the plug-ins of installed packages; they register themselves."""
    from importlib.metadata import entry_points  # takes 0.07 s, and --help does not need it

    for plugin in entry_points(group=PLUGINS):
        try:
            plugin.load()
        except Exception as error:
            _fail(f"the plug-in {plugin.name} ({plugin.value}) is skipped: {type(error).__name__}: {error}", 0)


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
    shown = "".join(c for c in message if c.isprintable() or c.isspace())  # a message may quote untrusted names
    print(f"sparring: {' '.join(shown.split())}", file=sys.stderr)
    return code


def _version() -> str:
    import sparring

    return f"sparring {sparring.__version__}"
