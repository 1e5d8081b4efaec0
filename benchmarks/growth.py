"""Time and peak memory of a training step against tokens, width and batch size: ours and a plain implementation.

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/growth.py --plot growth.png
    python benchmarks/growth.py --axes tokens --most-tokens 4096 --point-seconds 300 --limit 12

The base is size S with 64 tokens and a batch of 8. One of the three grows at a time; depth and head width are fixed.
Each point runs in a process of its own, whose peak memory is counted relative to that after a tiny step. A point that
takes more than --limit GiB or --point-seconds, or will by extrapolation from the two before it, is left out and
reported. The exponents are least-squares fits to the logarithms of the last points, because fixed costs dominate small
ones. They extrapolate memory to --room GiB; the exponent of width is too low, as parameters grow with its square.
"""

import argparse
import json
import math
import resource
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from plain import PlainGAN
from step import DTYPES, OURS, PATCH, Setting, drawing, our_trainer, seconds

BASE = {"tokens": 64, "width": 128, "batch": 8}
TINY = {"tokens": 4, "width": 64, "batch": 2}
DEPTH, HEAD_WIDTH = 4, 32
AXES = {
    "tokens": [64, 128, 256, 512, 1024, 2048, 4096],
    "width": [64, 128, 256, 512],
    "batch": [2, 4, 8, 16, 32, 64, 128],
}
CONTESTANTS = ("ours", "plain")
FITTED = 3
"""Number of points in a fit, the largest ones."""


def peak() -> int:
    """Peak memory of this process in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def stepper(point: dict) -> Callable[[], object]:
    rows = 2 ** (int(math.log2(point["tokens"])) // 2)
    width, dtype = point["width"], DTYPES[point["precision"]]
    setting = Setting(width, DEPTH, width // HEAD_WIDTH, rows, point["tokens"] // rows, point["batch"])
    if point["contestant"] == "ours":
        return our_trainer(setting, dtype, OURS["preset"]).step
    shape = {"width": width, "depth": DEPTH, "num_heads": setting.heads, "patch": PATCH, "dtype": dtype}
    gan, draw = PlainGAN(rows, setting.columns, **shape), drawing(setting)
    return lambda: gan.step(draw())


def measure(point: dict) -> dict:
    """Seconds and peak memory of a step in this process."""
    torch.set_num_threads(point["threads"])
    stepper(point | TINY)()  # PyTorch loads some of its libraries in the first step
    before = peak()
    limit = before + int(point["limit"] * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    step = stepper(point)
    first = seconds(step)  # allocates the state of the optimisers
    times = [seconds(step) for _ in range(max(1, min(3, round(point["point_seconds"] / 4 / first))))]
    return {"seconds": statistics.median(times), "bytes": peak() - before}


def measure_apart(point: dict) -> dict:
    """`measure` in a process of its own; {"left_out": why} if it does not end."""
    command = [sys.executable, __file__, "--point", json.dumps(point)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=point["point_seconds"])
    except subprocess.TimeoutExpired:
        return {"left_out": f"more than {point['point_seconds']:.0f} s"}
    if done.returncode == 0:
        return json.loads(done.stdout)
    if done.returncode < 0 or "allocate memory" in done.stderr or "MemoryError" in done.stderr:
        return {"left_out": f"more than {point['limit']:g} GiB"}
    raise RuntimeError(done.stderr)


def fit(found: list[tuple[float, float]]) -> tuple[float, float]:
    """Exponent and factor of value = factor * size^exponent."""
    sizes, values = ([math.log(number) for number in column] for column in zip(*found, strict=True))
    slope, intercept = statistics.linear_regression(sizes, values)
    return slope, math.exp(intercept)


def too_large(found: list[dict], axis: str, value: int, arguments: argparse.Namespace) -> str:
    """Why a larger point is left out, by extrapolation from the last two; empty if it is not."""
    if len(found) < 2:
        return ""
    for what, limit, unit in (("bytes", arguments.limit * 2**30, 2**30), ("seconds", arguments.point_seconds / 2, 1)):
        exponent, factor = fit([(r[axis], r[what]) for r in found[-2:]])
        if (guess := factor * value**exponent) > limit:
            return f"about {guess / unit:.0f} {'GiB' if what == 'bytes' else 's'} by extrapolation"
    return ""


def grow(axis: str, arguments: argparse.Namespace) -> dict[str, list[dict]]:
    """All points along an axis, by contestant, with the ones left out."""
    results: dict[str, list[dict]] = {name: [] for name in CONTESTANTS}
    for value in (v for v in AXES[axis] if axis != "tokens" or v <= arguments.most_tokens):
        for name, done in results.items():
            point = BASE | {axis: value, "contestant": name, "precision": arguments.precision}
            limits = {"threads": arguments.threads, "limit": arguments.limit, "point_seconds": arguments.point_seconds}
            measured = [r for r in done if "bytes" in r]
            if len(measured) < len(done):
                continue
            why = too_large(measured, axis, value, arguments)
            done.append({"axis": axis} | point | ({"left_out": why} if why else measure_apart(point | limits)))
            print(json.dumps(done[-1]), file=sys.stderr if not arguments.json else sys.stdout, flush=True)
    return results


def tables(axis: str, results: dict[str, list[dict]], room: float) -> str:
    fixed = ", ".join(f"{name} {value}" for name, value in BASE.items() if name != axis)
    columns = [f"{name}, {what}" for name in CONTESTANTS for what in ("ms a step", "samples/s", "MiB")]
    lines = [f"{fixed}, depth {DEPTH}", "", f"| {axis} | {' | '.join(columns)} |", f"| -: |{6 * ' -: |'}"]
    by_value: dict[int, dict[str, dict]] = {}
    for name, done in results.items():
        for r in done:
            by_value.setdefault(r[axis], {})[name] = r
    for value, row in by_value.items():
        cells = []
        for name in CONTESTANTS:
            r = row.get(name, {"left_out": ""})
            if "bytes" in r:
                cells += [f"{1e3 * r['seconds']:.0f}", f"{r['batch'] / r['seconds']:.1f}", f"{r['bytes'] / 2**20:.0f}"]
            else:
                cells += [r["left_out"], "", ""]
        lines.append(f"| {value} | {' | '.join(cells)} |")
    lines += ["", f"| | exponent of time | of memory | {axis} in {room:g} GiB |", "| - | -: | -: | -: |"]
    for name, done in results.items():
        measured = [r for r in done if "bytes" in r][-FITTED:]
        if len(measured) > 1:
            time, _ = fit([(r[axis], r["seconds"]) for r in measured])
            memory, factor = fit([(r[axis], r["bytes"]) for r in measured])
            lines.append(f"| {name} | {time:.2f} | {memory:.2f} | {(room * 2**30 / factor) ** (1 / memory):,.0f} |")
    return "\n".join(lines)


def plot(found: dict[str, dict[str, list[dict]]], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4 * len(found), 6), layout="constrained")
    for column, (axis, results) in enumerate(found.items()):
        for row, (what, unit, label) in enumerate((("seconds", 1, "seconds a step"), ("bytes", 2**20, "peak MiB"))):
            axes = figure.add_subplot(2, len(found), row * len(found) + column + 1, xlabel=axis, ylabel=label)
            for name, done in results.items():
                measured = [r for r in done if "bytes" in r]
                axes.loglog([r[axis] for r in measured], [r[what] / unit for r in measured], "o-", label=name)
            sizes = sorted({r[axis] for done in results.values() for r in done if "bytes" in r})
            axes.set_xticks(sizes, [str(size) for size in sizes])
            axes.minorticks_off()
            axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--most-tokens", type=int, default=1024, help="largest number of tokens")
    parser.add_argument("--precision", choices=DTYPES, default="float32")
    parser.add_argument("--limit", type=float, default=8, help="GiB that a point may take")
    parser.add_argument(
        "--point-seconds", type=float, default=120, help="seconds that a point may take, its start included"
    )
    parser.add_argument("--room", type=float, default=24, help="GiB to which memory is extrapolated")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="also print JSON lines of the points")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    parser.add_argument("--point", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.point:
        print(json.dumps(measure(json.loads(arguments.point))))
        return
    found = {}
    for axis in arguments.axes:
        found[axis] = grow(axis, arguments)
        print(f"\n{tables(axis, found[axis], arguments.room)}\n", flush=True)
    if arguments.plot:
        plot(found, arguments.plot)


if __name__ == "__main__":
    main()
