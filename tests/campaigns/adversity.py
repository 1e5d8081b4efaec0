"""Trains under adverse circumstances, and checks that the same command then ends as if nothing had happened.

    python tests/campaigns/adversity.py --rounds 20 --seed 0

The circumstances: a full disk, a file-size limit, a read-only folder, a folder of another user, a reader who leaves,
clocks that jump, and two trainings of one folder at once. Prints a summary as JSON; ends with 1 if anything was lost.
"""

import argparse
import contextlib
import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).parent.parent))
from campaigns.kill import RUNS, Killed, finished, prepared

NOBODY = 65534


def half_trained(run: Killed) -> Path:
    """A folder in which the run was killed at a random moment, perhaps before it began."""
    out = run.folder / "out"
    run.kill(out)
    return out


def file_size_limit(run: Killed) -> Path:
    """Every write beyond a limit fails, as on a full disk."""
    out = half_trained(run)
    largest = max(path.stat().st_size for path in (run.folder / "straight").rglob("*"))
    limit = run.chance.randrange(largest)
    finished(run.child(out, prepare=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))))
    return out


def full_disk(run: Killed) -> Path | None:
    """A file system of its own with too little space; None where none can be mounted."""
    out, disk = half_trained(run), run.folder / "disk"
    disk.mkdir(exist_ok=True)
    needed = sum(path.stat().st_size for path in (run.folder / "straight").rglob("*") if path.is_file())
    size = f"size={run.chance.randrange(needed // 4, needed)}"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        return None
    try:
        with contextlib.suppress(OSError, shutil.Error):
            if out.exists():
                shutil.copytree(out, disk / "out")
                finished(run.child(disk / "out"))
                shutil.rmtree(out)
                shutil.copytree(disk / "out", out)
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)
    return out


def no_permission(run: Killed) -> Path:
    """The user may not write into the folder, which keeps every byte."""
    out = half_trained(run)
    out.mkdir(exist_ok=True)
    folders = [out, *(path for path in out.rglob("*") if path.is_dir())]
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    run.folder.chmod(0o755)
    run.folder.parent.chmod(0o755)  # a temporary folder is its owner's alone
    for folder in folders:
        folder.chmod(0o555)
    finished(run.child(out, prepare=lambda: os.setuid(NOBODY) if os.geteuid() == 0 else None))
    for folder in folders:
        folder.chmod(0o755)
    after = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert after == before, "a folder without permission was changed"
    return out


def reader_who_leaves(run: Killed) -> Path:
    """`sparring train ... | head -c 1`, with both streams."""
    out = half_trained(run)
    words = [f"--{name}={'none' if value is None else value}" for name, value in run.config.flat().items()]
    words = [word for word in words if not word.startswith(("--data.path", "--critics"))]
    command = [sys.executable, "-m", "sparring", "train", run.config.data.path, "--out", str(out), *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        process.stdout.read(run.chance.randrange(2))
        process.stdout.close()
    return out


def jumping_clocks(run: Killed) -> Path:
    """The clock of the day jumps while the run goes on, and its files are from other centuries."""
    out = half_trained(run)
    times = itertools.cycle([0.0, 4e9, -1e9, 1e9])
    for path in out.rglob("*"):
        os.utime(path, (max(0, moment := next(times)), max(0, moment)))

    def jump() -> None:
        time.time = lambda: next(times)

    finished(run.child(out, prepare=jump))
    return out


def two_writers(run: Killed) -> Path:
    """Two trainings of one folder begin at once: one of them, or both in turn, may train."""
    out = half_trained(run)
    children = [run.child(out) for _ in range(2)]
    codes = sorted(map(finished, children))
    assert codes[0] == 0, f"two trainings at once ended with {codes}"
    return out


CIRCUMSTANCES: dict[str, Callable[[Killed], Path | None]] = {
    "file-size limit": file_size_limit,
    "full disk": full_disk,
    "no permission": no_permission,
    "reader who leaves": reader_who_leaves,
    "jumping clocks": jumping_clocks,
    "two writers": two_writers,
}


def losses(run: Killed, circumstance: Callable[[Killed], Path | None]) -> Iterator[str]:
    """Trains under a circumstance; yields what was lost."""
    try:
        out = circumstance(run)
        if out is None:
            return
        yield from run.differences(out)
    except AssertionError as error:
        yield str(error)
    finally:
        shutil.rmtree(run.folder / "out", ignore_errors=True)


def campaign(rounds: int, seed: int, kinds: dict[str, dict[str, object]], log: Callable[[str], None]) -> list[str]:
    """Tries every circumstance with every kind, `rounds` times; returns what was lost."""
    lost = []
    with prepared(kinds, seed, log) as runs:
        for number, run, (name, circumstance) in itertools.product(range(rounds), runs, CIRCUMSTANCES.items()):
            for loss in losses(run, circumstance):
                lost.append(f"{name}, {run.kind}: {loss}")
                log(f"LOST {lost[-1]}")
            log(f"round {number}: {run.kind}, {name}")
    return lost


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    lost = campaign(options.rounds, options.seed, RUNS, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps({"trainings": options.rounds * len(RUNS) * len(CIRCUMSTANCES), "losses": len(lost)}))
    return bool(lost)


if __name__ == "__main__":
    sys.exit(main())
