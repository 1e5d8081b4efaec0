"""Damaged inputs through the command line: each must work, or be refused in one line.

    python tests/campaigns/fuzz.py --inputs 20000 --seed 0 --workers 1 --keep /tmp/failing
    python tests/campaigns/fuzz.py --only image --start 17 --inputs 1      # one of them again

Every input follows from the seed, its kind and its number. It is read in a forked process with little memory and time.
The summary, JSON on stdout, counts the inputs by outcome: `ok`, `refused` (one line, exit code 2), `TRACEBACK`, `NOISE`
(more than one line), `HANG`, `MEMORY`, `ESCAPE` (control characters on the screen, files outside the output folder).
"""

import argparse
import contextlib
import gc
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import unicodedata
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

if not __package__:
    sys.path.insert(0, str(Path(__file__).parent.parent))
from campaigns import inputs
from campaigns.http_requests import application, send
from campaigns.kinds import Kinds

MEMORY, SECONDS = 2 * 2**30, 20
"""What one input may take beyond the program itself."""
FAULTS = ("TRACEBACK", "NOISE", "HANG", "MEMORY", "ESCAPE")
UNEXPECTED = 70
"""Exit code of an input that ended in a traceback."""


class Campaign:
    """Runs inputs of every kind; `folder` is for its own files, failing inputs are kept in `keep`."""

    def __init__(self, folder: Path, *, seed: int = 0, keep: Path | None = None) -> None:
        self.folder, self.seed, self.keep = folder, seed, keep
        self.store = folder / "store"
        self.store.mkdir(parents=True)
        _import_all()
        self._make_runs()
        self.kinds = Kinds(self.store)
        gc.collect()
        gc.freeze()  # forks then copy less
        self.app = application(self.store / "runs" / "pictures")
        self.names = [*self.kinds.all, "request"]
        self.counts: dict[str, Counter[str]] = {name: Counter() for name in self.names}
        self.faults: list[dict[str, Any]] = []

    def run(self, kind: str, number: int) -> str:
        """Runs one input; returns its outcome."""
        case = Path(tempfile.mkdtemp(prefix=f"{kind}-", dir=self.folder))
        given, made = case / "in" / "deep", case / "out"
        given.mkdir(parents=True)
        made.mkdir()
        rng = Random(f"{self.seed}/{kind}/{number}")
        words = [] if kind == "request" else self.kinds.all[kind](given, rng)
        before = _listing(case) | _listing(self.store)
        start = time.monotonic()
        status = _forked(lambda: send(self.app, rng) if kind == "request" else _main(words), made, case)
        seconds = time.monotonic() - start
        printed = (case / "stdout").read_bytes(), (case / "stderr").read_bytes()
        allowed = str(given / "run") if kind in ("checkpoint", "setting") else str(made)
        after = _listing(case) | _listing(self.store)
        strayed = [
            p for p in before.keys() | after.keys() if before.get(p) != after.get(p) and not p.startswith(allowed)
        ]
        outcome = _outcome(status, *printed, several=words[:1] == ["train"], request=kind == "request")
        if outcome in ("ok", "refused") and strayed:
            outcome = "ESCAPE"
        self.counts[kind][outcome] += 1
        if outcome in FAULTS:
            last = (printed[1].decode("utf-8", "replace").strip().splitlines() or [""])[-1]
            fault = {"kind": kind, "number": number, "outcome": outcome, "seconds": round(seconds, 1), "words": words,
                     "status": status, "last": last[:300], "strayed": strayed[:3]}  # fmt: skip
            self.faults.append(fault)
            print(json.dumps(fault), file=sys.stderr, flush=True)
            if self.keep is not None:
                kept = self.keep / f"{kind}-{self.seed}-{number}"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(case, kept, symlinks=True)
        shutil.rmtree(case, ignore_errors=True)
        return outcome

    def summary(self) -> dict[str, Any]:
        total: Counter[str] = sum(self.counts.values(), Counter())
        return {"inputs": total.total(), "outcomes": dict(total), "kinds": {k: dict(c) for k, c in self.counts.items()},
                "faults": self.faults}  # fmt: skip

    def _make_runs(self) -> None:
        inputs.write_sources(self.store)
        for name, (data, settings) in inputs.SOURCES.items():
            self._made(
                ["train", str(self.store / data), "--out", str(self.store / "runs" / name), *inputs.TINY, *settings]
            )
        pictures = str(self.store / "runs" / "pictures"), str(self.store / "pictures")
        self._made(["project", *pictures, "--num=2", "--steps=1", "--out", str(self.store / "latents.safetensors")])

    def _made(self, words: list[str]) -> None:
        status = _forked(lambda: _main(words), self.store, self.store, limited=False)
        if status:
            raise RuntimeError(f"{words} failed: {(self.store / 'stderr').read_text()}")


def _import_all() -> None:
    """Imports what the commands import, once for all forks."""
    import torch

    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"
    for name in ("av", "pyarrow.csv", "pyarrow.parquet", "tokenizers"):
        with contextlib.suppress(ImportError):
            __import__(name)
    import sparring.commands.describe
    import sparring.data.clips
    import sparring.display.plots
    import sparring.explorer.server
    import sparring.modalities.registry
    import sparring.progress
    import sparring.training.run  # noqa: F401


def _main(words: list[str]) -> int:
    from sparring import cli

    if words[0] == "explore":  # its server would wait for requests: what it reads of the folder
        return _explored(words)
    return cli.main(words)


def _explored(words: list[str]) -> int:
    """Explores a run up to its server, which would wait for requests, then reads what its page would be told first."""
    import asyncio

    from sparring import cli
    from sparring.explorer import serve
    from sparring.explorer.events import Feed, events

    async def first() -> str:
        return await anext(events(Feed(Path(words[1])), lambda: None, lambda: True))

    json.loads(asyncio.run(first()).removeprefix("data: "))
    serve.serve = lambda model, port, browser: None  # in this process alone
    return cli.main([*words, "--no-browser"])


def _forked(work: Any, cwd: Path, printed: Path, *, limited: bool = True) -> int:
    """The wait status of `work` in a process of its own, limited in memory and time."""
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    try:
        for number, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(printed / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
        os.chdir(cwd)
        tempfile.tempdir = str(cwd)
        os.environ["SPARRING_CACHE"] = str(cwd / "cache")
        if limited:
            pages = int(Path("/proc/self/statm").read_text().split()[0]) if Path("/proc/self/statm").exists() else 0
            most = pages * resource.getpagesize() + MEMORY
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(SECONDS)
        code = work() or 0
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else UNEXPECTED
    except BaseException:
        traceback.print_exc()
        code = UNEXPECTED
    with contextlib.suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _outcome(status: int, stdout: bytes, stderr: bytes, *, several: bool, request: bool) -> str:
    if os.WIFSIGNALED(status):
        return "HANG" if os.WTERMSIG(status) == signal.SIGALRM else "TRACEBACK"
    code, errors = os.WEXITSTATUS(status), stderr.decode("utf-8", "replace")
    if "out of memory" in errors or "MemoryError" in errors or "can't allocate" in errors:
        return "MEMORY"
    if code == UNEXPECTED or "Traceback (most recent" in errors:
        return "TRACEBACK"
    if any(_controls(c) for c in errors + stdout.decode("utf-8", "replace")):
        return "ESCAPE"
    if code not in (0, 2):
        return "TRACEBACK"
    lines = errors.strip().splitlines()
    if (
        code == 2
        and not request
        and (not lines or not lines[-1].startswith("sparring: ") or (len(lines) > 1 and not several))
    ):
        return "NOISE"
    return "ok" if code == 0 else "refused"


def _controls(character: str) -> bool:
    return (
        character not in "\n\t"
        and unicodedata.category(character) in ("Cc", "Cf")
        and character not in "\u200c\u200d\u00ad"
    )


def _listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every file, but for what the campaign prints."""
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            if name not in ("stdout", "stderr"):
                facts = os.lstat(path)
                found[path] = facts.st_size, facts.st_mtime_ns
    return found


def numbered(names: list[str], start: int, count: int) -> Iterator[tuple[str, int]]:
    """`count` inputs: of each kind in turn the number `start`, then `start` + 1, ..."""
    for index in range(count):
        yield names[index % len(names)], start + index // len(names)


def _share(arguments: argparse.Namespace, worker: int) -> dict[str, Any]:
    """The summary of one worker's inputs."""
    with tempfile.TemporaryDirectory(prefix="sparring-fuzz-", ignore_cleanup_errors=True) as folder:
        campaign = Campaign(Path(folder).resolve() / "work", seed=arguments.seed, keep=arguments.keep)
        names = arguments.only.split(",") if arguments.only else campaign.names
        until = time.monotonic() + arguments.minutes * 60
        for index, (kind, number) in enumerate(numbered(names, arguments.start, arguments.inputs)):
            if index % arguments.workers == worker:
                campaign.run(kind, number)
            if time.monotonic() > until:
                break
        return campaign.summary()


def _in_process(arguments: argparse.Namespace, worker: int) -> dict[str, Any]:
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        code = 1
        try:
            os.write(writing, json.dumps(_share(arguments, worker)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writing)
    with open(reading, "rb") as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--only", help="these kinds alone, separated by commas")
    parser.add_argument("--start", type=int, default=0, help="number of the first input of a kind")
    parser.add_argument("--minutes", type=float, default=1e9, help="stop earlier")
    parser.add_argument("--keep", type=Path, help="folder for the inputs that fail")
    arguments = parser.parse_args()
    if arguments.keep is not None:
        arguments.keep.mkdir(parents=True, exist_ok=True)
    if arguments.workers == 1:
        found = [_share(arguments, 0)]
    else:
        with ThreadPoolExecutor(arguments.workers) as pool:  # each thread waits for a process
            found = list(pool.map(lambda worker: _in_process(arguments, worker), range(arguments.workers)))
    kinds = {name: sum((Counter(f["kinds"][name]) for f in found), Counter()) for name in found[0]["kinds"]}
    total: Counter[str] = sum(kinds.values(), Counter())
    faults = [fault for f in found for fault in f["faults"]]
    summary = {"inputs": total.total(), "outcomes": dict(total), "kinds": {k: dict(c) for k, c in kinds.items()}}
    print(json.dumps(summary | {"faults": faults}, indent=1))
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
