"""Samples a second of a whole training step: ours, a plain implementation, and the code of published GANs.

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/step.py              # ours and plain.py, nine settings
    python benchmarks/step.py --sizes S --tokens 64 --compile
    python benchmarks/step.py --gat GAT/ --afm Adversarial-Flow-Models/ --r3gan R3GAN/          # peers.py
    python benchmarks/step.py --stylegan2 StyleGAN2/ --only "ours, preset" plain StyleGAN2
    python benchmarks/step.py --sizes S --tokens 256 --batch 16 --only ours --profile         # each operation

A step has the forward and backward passes of both networks, the penalties, both optimisers and the EMA, on images with
3 channels in patches of 4 without stem. All contestants run in one process and take turns, round by round, because the
machine's speed varies with its load; a ratio is the median of the ratios within a round. With one thread, CPU time is
measured. If a contestant has lazy regularisation, a turn has each kind of step, and the mean is weighted by how often
each kind occurs. Ours runs with three settings:

    preset   `presets.images`: R1 and R2 by finite differences on a quarter of the batch, augmentation
    whole    R1 and R2 by finite differences on the whole batch, no augmentation: regularises the same as plain.py
    exact    R1 and R2 by double backward on the whole batch, no augmentation: computes the same as plain.py, with a
             quarter more operations, as the penalties need one more forward pass of the discriminator

Operations are those of matrix products and convolutions as `FlopCounterMode` counts them, in float32 without
compilation, recomputation included. They are compared with the fastest matrix product of the same run.
"""

import argparse
import contextlib
import functools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import peers
import torch
from dcgan import parameters
from plain import PlainGAN
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from sparring import presets
from sparring.build import build
from sparring.data.dataset import TensorDataset
from sparring.data.spec import DataSpec
from sparring.training.trainer import Trainer

PATCH, CHANNELS = 4, 3
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
WHOLE = {"loss.penalty_fraction": 1.0, "augment.probability": 0.0, "augment.flip": False}
OURS = {"preset": {}, "whole": WHOLE, "exact": WHOLE | {"loss.penalty": "exact"}}
MULTIPLICATIONS = 1.5e9
"""Multiplications of one batch in both networks, which determine the batch size: a step takes about a second on one
core."""


@dataclass(frozen=True)
class Setting:
    """The size of networks and data of all contestants in a table; `rows` and `columns` count tokens."""

    width: int
    depth: int
    heads: int
    rows: int
    columns: int
    batch: int

    @property
    def picture(self) -> tuple[int, int, int]:
        return CHANNELS, self.rows * PATCH, self.columns * PATCH


@dataclass
class Contestant:
    name: str
    dtype: torch.dtype
    steps: peers.Steps
    parameters: int
    turn: int = 1  # steps
    operations: int | None = None

    @property
    def label(self) -> tuple[str, str]:
        return self.name, str(self.dtype).removeprefix("torch.")

    def time_a_step(self) -> float:
        """The mean seconds of a step over a turn."""
        return sum(share * seconds(step, max(1, round(share * self.turn))) for step, share in self.steps.items())


def batch_for(width: int, depth: int, tokens: int) -> int:
    """A power of two from 4 to 64."""
    return 2 ** max(2, min(6, round(math.log2(MULTIPLICATIONS / (24 * width**2 * depth * tokens)))))


def pictures(shape: tuple[int, int, int], count: int) -> TensorDataset:
    samples = torch.randint(256, (count, *shape), dtype=torch.uint8)
    return TensorDataset(
        name="noise",
        modality="image",
        sample_shape=shape,
        classes=torch.zeros(count, dtype=torch.int64),
        class_names=[],
        fingerprint="",
        value_range="0..255",
        samples=samples,
    )


def our_trainer(setting: Setting, dtype: torch.dtype, changes: dict[str, object]) -> Trainer:
    shape = {"model.width": setting.width, "model.depth": setting.depth, "model.num_heads": setting.heads}
    steps = {"train.batch_size": setting.batch, "train.num_samples": 10**9}
    _, height, width = setting.picture
    config = presets.images(height, width, CHANNELS).replace(
        {"codec.patch_size": PATCH, "model.stem": 0} | shape | steps | changes
    )
    dataset = pictures(setting.picture, 4 * setting.batch)
    return Trainer(config, build(config, DataSpec.of(dataset)), dataset, torch.device("cpu"), dtype)


def ours(name: str, setting: Setting, dtype: torch.dtype, compiled: bool = False) -> Contestant:
    trainer = our_trainer(setting, dtype, OURS[name] | {"train.compile": compiled})
    count = parameters(trainer.generator, *trainer.critics)
    return Contestant(f"ours, {name}" + compiled * ", compiled", dtype, {trainer.step: 1.0}, count)


def plain(setting: Setting, dtype: torch.dtype) -> Contestant:
    gan = PlainGAN(
        setting.rows, setting.columns, width=setting.width, depth=setting.depth, num_heads=setting.heads, dtype=dtype
    )
    draw = drawing(setting)
    count = parameters(gan.generator, gan.discriminator)
    return Contestant("plain", dtype, {lambda: gan.step(draw()): 1.0}, count)


def drawing(setting: Setting) -> Callable[[], Tensor]:
    """A function that draws a batch of pictures."""
    dataset = pictures(setting.picture, 4 * setting.batch)
    return lambda: dataset.batch(torch.randint(len(dataset), (setting.batch,)))[0]


def contestants(setting: Setting, arguments: argparse.Namespace) -> list[Contestant]:
    found = []
    for dtype in (DTYPES[name] for name in arguments.precision):
        found += [ours(name, setting, dtype) for name in OURS]
        if arguments.compile:
            found += [ours(name, setting, dtype, compiled=True) for name in ("preset", "whole")]
        found.append(plain(setting, dtype))
        assert abs(found[-1].parameters / found[0].parameters - 1) < 0.02
        for name, build_peer in peers.PEERS.items():
            if path := getattr(arguments, name.lower()):
                steps, count = build_peer(path, setting, dtype, drawing(setting), found[0].parameters)
                found.append(Contestant(name, dtype, steps, count))
    return [c for c in found if not arguments.only or any(c.name.startswith(part) for part in arguments.only)]


def seconds(step: Callable[[], object], times: int = 1) -> float:
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    started = clock()
    for _ in range(times):
        step()
    return (clock() - started) / times


def convolution_backward(gradient: list[int], x: list[int], weight: list[int], *rest: object, out_shape: object) -> int:
    """For `FlopCounterMode`, whose own formula ignores groups in the weights' gradient."""
    transposed, wanted = rest[4], rest[7]
    return 2 * math.prod(x if transposed else gradient) * math.prod(weight[1:]) * sum(wanted[:2])


def operations(step: Callable[[], object]) -> int:
    """Floating-point operations of one step; attention is the plain formula, as PyTorch's CPU kernel is not counted."""
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten.convolution_backward: convolution_backward})
    untracked: contextlib.nullcontext = contextlib.nullcontext()
    untracked.parents = {"Global"}  # its hooks on modules forbid autograd.grad with respect to a leaf
    counter.mod_tracker = untracked
    with sdpa_kernel(SDPBackend.MATH), counter:
        step()
    return counter.get_total_flops()


@functools.cache
def best_product(dtype: torch.dtype) -> float:
    """FLOP/s of the fastest square matrix product."""
    rates = []
    for size in (512, 1024, 2048, 4096):
        a, b = torch.randn(2, size, size).to(dtype)
        product = functools.partial(torch.mm, a, b)
        rates.append(2 * size**3 / min(seconds(product) for _ in range(4)))
    return max(rates)


def race(found: list[Contestant], arguments: argparse.Namespace) -> dict[tuple[str, str], list[float]]:
    """The seconds of a step for each contestant and round."""
    counted: dict[str, int] = {}
    for contestant in found:
        first = contestant.time_a_step()  # compiles
        contestant.turn = max(1, round(arguments.seconds / contestant.time_a_step()))
        print(f"  {' '.join(contestant.label)}: first step {first:.1f} s, {contestant.turn} a turn", file=sys.stderr)
        kind = contestant.name.removesuffix(", compiled")
        if not contestant.name.endswith("compiled") and kind not in counted:
            counted[kind] = round(sum(share * operations(step) for step, share in contestant.steps.items()))
        contestant.operations = counted.get(kind)
    times: dict[tuple[str, str], list[float]] = {contestant.label: [] for contestant in found}
    for turn in range(arguments.rounds):
        for contestant in found:
            times[contestant.label].append(contestant.time_a_step())
        print(f"  round {turn + 1} of {arguments.rounds}", file=sys.stderr)
    return times


def row(contestant: Contestant, setting: Setting, times: dict[tuple[str, str], list[float]]) -> dict[str, object]:
    own = times[contestant.label]
    second = statistics.median(own)
    result: dict[str, object] = {
        "contestant": contestant.name,
        "precision": contestant.label[1],
        "parameters": contestant.parameters,
        "seconds": second,
        "samples_a_second": setting.batch / second,
    }
    if other := times.get(("plain", contestant.label[1])):
        ratios = [theirs / mine for theirs, mine in zip(other, own, strict=True)]
        result |= {"times_plain": statistics.median(ratios), "lowest": min(ratios), "highest": max(ratios)}
    if contestant.operations:
        rate = contestant.operations / second
        result |= {"operations": contestant.operations, "operations_a_second": rate}
        result["share_of_best_product"] = rate / best_product(contestant.dtype)
    return result


COLUMNS = ["", "precision", "parameters", "ms a step", "samples/s", "× plain", "GFLOP a step", "GFLOP/s", "of the best"]
HEADER = f"| {' | '.join(COLUMNS)} |\n| - | - |{7 * ' -: |'}"


def line(r: dict) -> str:
    cells = [r["contestant"], r["precision"], f"{r['parameters'] / 1e3:,.0f}k", f"{1e3 * r['seconds']:.0f}"]
    cells.append(f"{r['samples_a_second']:.1f}")
    cells.append("{times_plain:.2f} ({lowest:.2f} to {highest:.2f})".format(**r) if "times_plain" in r else "")
    if "operations" in r:
        cells += [f"{r['operations'] / 1e9:.1f}", f"{r['operations_a_second'] / 1e9:.0f}"]
        cells.append(f"{r['share_of_best_product']:.0%}")
    else:
        cells += 3 * [""]
    return f"| {' | '.join(cells)} |"


def show_profile(contestant: Contestant) -> None:
    contestant.time_a_step()
    with profile(activities=[ProfilerActivity.CPU]) as found:
        for step in 2 * list(contestant.steps):
            step()
    print(f"\n{' '.join(contestant.label)}\n")
    print(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=20, max_name_column_width=60))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", nargs="+", choices=presets.SIZES, default=["XS", "S", "B"])
    parser.add_argument("--tokens", type=int, nargs="+", default=[16, 64, 256], help="squares of whole numbers")
    parser.add_argument("--batch", type=int, help="unset: by size and tokens; a step then takes about a second")
    parser.add_argument("--precision", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="shortest length of a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--compile", action="store_true", help="also run ours compiled; compilation takes a minute each"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", help="only contestants whose names start with one of these"
    )
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of tables")
    parser.add_argument("--profile", action="store_true", help="print profiles of the contestants instead")
    for name in peers.PEERS:
        parser.add_argument(f"--{name.lower()}", metavar="PATH", help=f"a checkout of {name}, see peers.py")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    best = {name: best_product(DTYPES[name]) for name in arguments.precision}
    print(json.dumps({"threads": arguments.threads, "best_product": best}), file=sys.stderr)
    for size in arguments.sizes:
        for tokens in arguments.tokens:
            width, depth, heads = presets.SIZES[size]
            side = math.isqrt(tokens)
            if side**2 != tokens:
                parser.error(f"--tokens {tokens} is not a square")
            batch = arguments.batch or batch_for(width, depth, tokens)
            setting = Setting(width, depth, heads, side, side, batch)
            title = f"size {size} ({width} wide, {depth} deep), {tokens} tokens, batch {batch}"
            print(title, file=sys.stderr)
            torch.compiler.reset()  # or what was compiled for other settings counts towards its limit
            found = contestants(setting, arguments)
            if not found:
                parser.error(f"--only {' '.join(arguments.only)} names no contestant here")
            if arguments.profile:
                for contestant in found:
                    show_profile(contestant)
                continue
            times = race(found, arguments)
            rows = [row(contestant, setting, times) for contestant in found]
            if arguments.json:
                shared = {"size": size, "tokens": tokens, "batch": batch, "threads": arguments.threads}
                for r in rows:
                    print(json.dumps(shared | r), flush=True)
            else:
                products = ", ".join(f"{rate / 1e9:.0f} GFLOP/s in {name}" for name, rate in best.items())
                print(f"\n{title}; best matrix product {products}\n\n{HEADER}")
                print("\n".join(map(line, rows)), flush=True)


if __name__ == "__main__":
    main()
