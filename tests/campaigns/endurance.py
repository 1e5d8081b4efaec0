"""Trains for a long time, and watches memory, file descriptors and threads.

    python tests/campaigns/endurance.py --minutes 60 digits

Checkpoints, sheets and evaluations come often. Reads /proc (Linux). Prints a summary as JSON: the median and the
largest value of each figure in each quarter of the time. After the first quarter they must be equal but for noise.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

OFTEN = ["--train.checkpoint_every", "2000", "--train.sample_every", "2000", "--train.evaluate_every", "4000",
         "--train.num_samples", "1000000000"]  # fmt: skip


def figures(process: int) -> dict[str, int]:
    """Resident memory in MB, open descriptors and threads of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return {
        "megabytes": int(lines["VmRSS"].split()[0]) // 1000,
        "descriptors": len(os.listdir(f"/proc/{process}/fd")),
        "threads": int(lines["Threads"]),
    }


def watch(words: Sequence[str], seconds: float, every: float) -> list[dict[str, int]]:
    """Trains with these words of the command line; returns the figures at intervals."""
    found = []
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, "-m", "sparring", "train", *words, "--out", f"{temporary}/run"]
        log = Path(temporary) / "log"
        with open(log, "w") as errors, subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors) as process:
            end = time.monotonic() + seconds
            while time.monotonic() < end and process.poll() is None:
                time.sleep(every)
                if (Path(temporary) / "run/model.safetensors").exists():
                    found.append(figures(process.pid))
            process.send_signal(signal.SIGTERM)
            process.wait()
        assert process.returncode == 128 + signal.SIGTERM, log.read_text()
    return found


def summary(found: Sequence[dict[str, int]]) -> dict[str, list[tuple[float, int]]]:
    """Of each figure, the median and the largest value in each quarter of the time."""
    quarter = len(found) // 4
    parts = [found[start * quarter :][:quarter] for start in range(4)]
    return {
        name: [(statistics.median(values), max(values)) for values in ([each[name] for each in part] for part in parts)]
        for name in found[0]
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--minutes", type=float, default=60)
    options = parser.parse_args()
    print(json.dumps(summary(watch([options.data, *OFTEN], 60 * options.minutes, 5))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
