"""Samples a second: ours in one pass, ours in ONNX Runtime, and networks of about the same size in 50 passes.

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/sampling.py                  # size S, 32×32 in colour
    python benchmarks/sampling.py --size XS --shape 1 28 28 --batches 1 16 256 --json
    pip install onnx onnxscript onnxruntime diffusers       # a contestant without its packages is left out

The networks are untrained, because weights do not change the speed. The diffusion model is the DiT of `diffusers` with
our width, depth, heads and number of tokens, on pixels, with its DDIM scheduler and without autoencoder and guidance.
The flow-matching transformer of flow.py is as large as our generator. Each call draws noise and returns pixels. For
bfloat16 the weights are bfloat16 too. All contestants run in one process and take turns, round by round, because the
machine's speed varies with its load; a ratio is the median of the ratios within a round.
"""

import argparse
import importlib.util
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from dcgan import parameters
from flow import FlowConfig, euler, flow_transformer, tokenizer_of
from torch import Tensor, nn

from sparring import presets
from sparring.build import build
from sparring.config import Config
from sparring.data.conditions import Classes
from sparring.data.spec import DataSpec
from sparring.export import Sampler, difference, onnx_bytes
from sparring.pretrained import GAN

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
CLASSES = tuple("0123456789")
NEEDED = {"ours, ONNX Runtime": ("onnx", "onnxscript", "onnxruntime"), "DiT, DDIM (diffusers)": ("diffusers",)}


@dataclass(frozen=True)
class Contestant:
    name: str
    precision: str
    passes: int
    parameters: int
    sample: Callable[[int], object]

    @property
    def label(self) -> tuple[str, str]:
        return self.name, self.precision


class Sampled(nn.Module):
    """z (B, z_size) and classes (B,) to pixels (B, C, H, W) in [-1, 1]."""

    def __init__(self, config: Config, spec: DataSpec) -> None:
        super().__init__()
        self.config, self.spec, self.networks = config, spec, build(config, spec)
        self.generator, self.codec = self.networks.generator, self.networks.codec

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        return self.codec.decode(self.codec.unpatchify(self.generator(z, condition))).clamp(-1, 1)


def labels(count: int) -> Tensor:
    return torch.arange(count) % len(CLASSES)


def ours(config: Config, spec: DataSpec, precision: str) -> tuple[Contestant, Sampled]:
    torch.manual_seed(0)
    model, dtype = Sampled(config, spec).eval().to(DTYPES[precision]), DTYPES[precision]

    def sample(count: int) -> Tensor:
        return model(torch.randn(count, model.generator.z_size, dtype=dtype), labels(count))

    return Contestant("ours", precision, 1, parameters(model.generator), sample), model


def exported(model: Sampled, threads: int) -> Contestant:
    """Ours in ONNX Runtime, as `sparring export` writes it; its samples are compared with PyTorch's."""
    import onnxruntime

    sampler = Sampler(GAN(model.config, model.spec, model.networks))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    content = onnx_bytes(sampler, "float32", {})
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])

    def run(inputs: dict[str, Tensor]) -> Tensor:
        return torch.from_numpy(session.run(None, {name: value.numpy() for name, value in inputs.items()})[0])

    def sample(count: int) -> Tensor:
        z = torch.randn(count, model.generator.z_size)
        return run({"z": z, "truncation_psi": torch.ones(count), "condition": labels(count)})

    apart = difference(sampler, run)
    print(f"  ONNX Runtime's pixels differ from PyTorch's by at most {apart:.1e} of their range", file=sys.stderr)
    return Contestant("ours, ONNX Runtime", "float32", 1, parameters(model.generator), sample)


def flow(config: Config, spec: DataSpec, precision: str, steps: int) -> Contestant:
    dtype, tokenizer = DTYPES[precision], tokenizer_of(config, spec)
    model = flow_transformer(config, spec, FlowConfig()).eval().to(dtype)

    def sample(count: int) -> Tensor:
        noise = torch.randn(count, *spec.sample_shape, dtype=dtype)
        return tokenizer.unpatchify(euler(model, tokenizer.patchify(noise), labels(count), steps)).clamp(-1, 1)

    return Contestant("flow matching, Euler", precision, steps, parameters(model), sample)


def diffusion(config: Config, spec: DataSpec, precision: str, steps: int) -> Contestant:
    """The loop of `DiTPipeline`, which itself cannot be called without an autoencoder, and without guidance."""
    from diffusers import DDIMScheduler, DiTTransformer2DModel
    from diffusers.utils import logging

    logging.set_verbosity_error()
    channels, side, _ = spec.sample_shape
    dtype, heads = DTYPES[precision], config.model.num_heads
    model: Any = DiTTransformer2DModel(
        num_attention_heads=heads,
        attention_head_dim=config.model.width // heads,
        in_channels=channels,
        num_layers=config.model.depth,
        sample_size=side,
        patch_size=config.codec.patch_size * 2**config.model.stem,
        num_embeds_ada_norm=len(CLASSES),
    )
    model, scheduler = model.eval().to(dtype), DDIMScheduler()

    def sample(count: int) -> Tensor:
        x = torch.randn(count, *spec.sample_shape, dtype=dtype)
        scheduler.set_timesteps(steps)
        for step in scheduler.timesteps:
            noise = model(x, timestep=step.expand(count), class_labels=labels(count)).sample
            x = scheduler.step(noise, step, x).prev_sample
        return x.clamp(-1, 1)

    return Contestant("DiT, DDIM (diffusers)", precision, steps, parameters(model), sample)


def contestants(config: Config, spec: DataSpec, arguments: argparse.Namespace) -> list[Contestant]:
    missing = {name: [p for p in packages if not importlib.util.find_spec(p)] for name, packages in NEEDED.items()}
    for name, packages in missing.items():
        if packages:
            print(f"  left out: {name}; pip install {' '.join(packages)}", file=sys.stderr)
    found = []
    for precision in arguments.precision:
        contestant, model = ours(config, spec, precision)
        found.append(contestant)
        if precision == "float32" and not missing["ours, ONNX Runtime"]:
            found.append(exported(model, arguments.threads))
        found.append(flow(config, spec, precision, arguments.steps))
        if not missing["DiT, DDIM (diffusers)"]:
            found.append(diffusion(config, spec, precision, arguments.steps))
    return found


def seconds(contestant: Contestant, batch: int, times: int = 1) -> float:
    started = time.perf_counter()
    for _ in range(times):
        contestant.sample(batch)
    return (time.perf_counter() - started) / times


def race(found: list[Contestant], batch: int, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """One row for each contestant: the median over rounds, and the ratio to ours in the same precision."""
    turns = []
    for contestant in found:
        seconds(contestant, batch)
        turns.append(max(1, round(arguments.seconds / seconds(contestant, batch))))
    times: dict[tuple[str, str], list[float]] = {contestant.label: [] for contestant in found}
    for turn in range(arguments.rounds):
        for contestant, calls in zip(found, turns, strict=True):
            times[contestant.label].append(seconds(contestant, batch, calls))
        print(f"  batch {batch}, round {turn + 1} of {arguments.rounds}", file=sys.stderr)
    rows = []
    for contestant in found:
        own, reference = times[contestant.label], times["ours", contestant.precision]
        ratios = [theirs / mine for theirs, mine in zip(own, reference, strict=True)]
        rows.append(
            {
                "contestant": contestant.name,
                "precision": contestant.precision,
                "passes": contestant.passes,
                "parameters": contestant.parameters,
                "batch": batch,
                "samples_a_second": batch / statistics.median(own),
                "times_ours": statistics.median(ratios),
                "lowest": min(ratios),
                "highest": max(ratios),
            }
        )
    return rows


def table(rows: list[dict[str, Any]], batches: list[int]) -> str:
    head = ["", "precision", "passes", "parameters"]
    head += [column for batch in batches for column in (f"batch {batch}: samples/s", "× our time")]
    lines = [head, ["-", "-", *["-:"] * (len(head) - 2)]]
    for first in (row for row in rows if row["batch"] == batches[0]):
        cells = [first["contestant"], first["precision"], str(first["passes"]), f"{first['parameters']:,}"]
        for row in rows:
            if (row["contestant"], row["precision"]) == (first["contestant"], first["precision"]):
                cells.append(f"{row['samples_a_second']:,.4g}")
                cells.append("{times_ours:.3g} ({lowest:.3g} to {highest:.3g})".format(**row))
        lines.append(cells)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=presets.SIZES, default="S")
    parser.add_argument(
        "--shape", type=int, nargs=3, default=[3, 32, 32], metavar=("C", "H", "W"), help="H and W must be equal"
    )
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings of our networks")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--steps", type=int, default=50, help="steps of diffusion and flow matching")
    parser.add_argument("--precision", nargs="+", choices=DTYPES, default=list(DTYPES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="shortest length of a turn")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="print JSON lines instead of the table")
    arguments = parser.parse_args()
    if arguments.shape[1] != arguments.shape[2]:
        parser.error("--shape must have equal H and W: the DiT of diffusers takes squares only")
    torch.set_num_threads(arguments.threads)
    shape = tuple(arguments.shape)
    config = presets.images(shape[1], shape[2], shape[0], arguments.size)
    config = config.replace(dict(pair.split("=", 1) for pair in arguments.set))
    found = contestants(config, DataSpec(shape, Classes(CLASSES), modality="image"), arguments)
    rows = [row for batch in arguments.batches for row in race(found, batch, arguments)]
    shared = {"size": arguments.size, "shape": arguments.shape, "threads": arguments.threads}
    if arguments.json:
        for row in rows:
            print(json.dumps(shared | row), flush=True)
    else:
        model = config.model
        tokens = (shape[1] // (config.codec.patch_size * 2**model.stem)) ** 2
        print(
            f"size {arguments.size} ({model.width} wide, {model.depth} deep), {'×'.join(map(str, shape))}, {tokens} "
            f"tokens, {arguments.threads} thread{'s' * (arguments.threads > 1)}; medians of {arguments.rounds} rounds\n"
        )
        print(table(rows, arguments.batches))


if __name__ == "__main__":
    main()
