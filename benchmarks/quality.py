"""Time to quality: the Fréchet distance over minutes of training, of ours, a DCGAN and a flow-matching transformer.

    OMP_NUM_THREADS=1 taskset -c 1 python benchmarks/quality.py --minutes 5 --plot digits.png
    python benchmarks/quality.py cifar10/train --held-out cifar10/test \\
        --extractor cifar10-resnet:resnet56-4bfd9763.th --minutes 30
    python benchmarks/quality.py --only flow --flow lr=2e-3 size=both
    python benchmarks/quality.py --only --add seed0.jsonl seed1.jsonl --plot median.png     # lines of earlier runs

The contestants train one after another on the same data. Only training steps count as time: not building, the trial
run or evaluation. Ours is the preset of the data; images other than the digits take --size. A DCGAN with as many
parameters as both of our networks is trained in our loop, and another one by its paper's own loop. For the first two a
trial run sets the length in samples, so that the schedules end with the time. A flow-matching transformer of our
generator's depth and width samples in 1, 4 and 50 steps. Digits are compared with the 1,000 held-out ones in the
features of the digit classifier. Other images are compared in the features of --extractor with held-out ones, or, if
there are none, half of the data with the other half. Prints a JSON line for each point, then a table with medians over
seeds.
"""

import argparse
import dataclasses
import functools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import torch
from dcgan import DCGANDiscriminator, DCGANGenerator, DCGANTrainer, parameters, pixel_networks
from digits import DCGAN_CHANNELS, TRIAL_SECONDS
from flow import FlowConfig, FlowTrainer
from pictures import draw
from torch import Tensor, nn

from sparring import presets
from sparring.build import Networks, build
from sparring.config import Config
from sparring.data.conditions import Condition
from sparring.data.dataset import Dataset
from sparring.data.spec import DataSpec
from sparring.device import choose_device, choose_dtype
from sparring.display.figures import make_figure
from sparring.display.images import grid, save_image
from sparring.metrics.digits import DigitMetric
from sparring.metrics.extractors import make_extractor
from sparring.metrics.frechet import frechet_distance
from sparring.metrics.metric import Metric
from sparring.modalities.registry import open_dataset
from sparring.pretrained import GAN
from sparring.training.trainer import Trainer

CONTESTANTS = ("ours", "dcgan", "dcgan-own", "flow")
STEPS = (1, 4, 50)
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}

AnyTrainer = Trainer | FlowTrainer | DCGANTrainer
Draw = Callable[[int], Tensor]
"""n -> n samples of all classes in turn."""


class SquareGenerator(DCGANGenerator):
    """The generator of dcgan.py for images (C, S, S) of any side: its first feature map is S halved until it is odd or
    at most 7, so 7×7 for 28×28 and 4×4 for 32×32."""

    def __init__(self, channels: int, condition: Condition, shape: tuple[int, ...], z_dim: int = 32) -> None:
        super().__init__(channels, condition, z_dim)
        self.start_side, widths = squares(channels, shape)
        self.start = nn.Linear(z_dim + 32, widths[-1] * self.start_side**2)
        layers: list[nn.Module] = [nn.BatchNorm2d(widths[-1]), nn.ReLU()]
        for inner, outer in pairwise(reversed(widths)):
            layers += [nn.ConvTranspose2d(inner, outer, 4, 2, 1), nn.BatchNorm2d(outer), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels, shape[0], 3, padding=1), nn.Tanh())

    def synthesize(self, w: Tensor, noise: Tensor | None = None) -> Tensor:
        x = self.start(w).unflatten(1, (-1, self.start_side, self.start_side))
        return self.layers(x).flatten(2).transpose(1, 2)


class SquareDiscriminator(DCGANDiscriminator):
    """The discriminator of dcgan.py for images (C, S, S) of any side."""

    def __init__(self, channels: int, condition: Condition, shape: tuple[int, ...], batch_norm: bool = False) -> None:
        super().__init__(channels, condition)
        self.side = shape[1]
        end, widths = squares(channels, shape)
        layers: list[nn.Module] = [nn.Conv2d(shape[0], channels, 3, padding=1), nn.LeakyReLU(0.2)]
        for outer, inner in pairwise(widths):
            norm = [nn.BatchNorm2d(inner)] if batch_norm else []
            layers += [nn.Conv2d(outer, inner, 4, 2, padding=1), *norm, nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Linear(widths[-1] * end**2, 1)
        self.class_embedding = nn.Embedding(condition.size, widths[-1] * end**2) if condition.size else None

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        features = self.layers(tokens.transpose(1, 2).unflatten(2, (self.side, self.side)))
        logits = self.head(features).squeeze(1)
        if self.class_embedding is not None:
            logits = logits + (features * self.class_embedding(condition)).mean(1) * features.shape[1] ** 0.5
        return logits


def squares(channels: int, shape: tuple[int, ...]) -> tuple[int, list[int]]:
    """The side of the smallest feature map, and the channels of all feature maps from the image down to it."""
    _, side, other = shape
    if side != other:
        raise SystemExit(f"the DCGAN here makes squares, not {side}×{other}: use --only ours flow, or --resolution")
    widths = [channels]
    while side % 2 == 0 and side > 7:
        side, widths = side // 2, [*widths, 2 * widths[-1]]
    return side, widths


def dcgan(
    target: int, condition: Condition, shape: tuple[int, ...], batch_norm: bool = False
) -> tuple[SquareGenerator, SquareDiscriminator]:
    """Two networks of about `target` parameters together, with channels in the proportion of digits.py."""

    def make(channels: int) -> tuple[SquareGenerator, SquareDiscriminator]:
        others = round(channels * DCGAN_CHANNELS[1] / DCGAN_CHANNELS[0])
        discriminator = SquareDiscriminator(others, condition, shape, batch_norm)
        return SquareGenerator(channels, condition, shape), discriminator

    def distance(channels: int) -> int:
        with torch.device("meta"):
            return abs(sum(map(parameters, make(channels))) - target)

    return make(min(range(2, 65), key=distance))


class PictureMetric:
    """Compares samples with as many held-out images; the floor is the distance of as many training images. Without
    held-out images the data is split: samples and one half are compared with the other half."""

    def __init__(self, training: Dataset, held_out: Dataset | None, extractor: str, num: int) -> None:
        self.extractor, self.classes = make_extractor(extractor, training.sample_shape), tuple(training.class_names)
        self.count = min(num, len(held_out) if held_out else len(training) // 2)
        if held_out:
            real, others = draw(held_out, self.count, 0), draw(training, self.count, 1)
        else:
            real, others = draw(training, self.count, 0, half=0), draw(training, self.count, 1, half=1)
        self.real, _ = self.extractor(real)
        self.floor = frechet_distance(self.extractor(others)[0], self.real)

    def __call__(self, sample: Callable[[int], tuple[Tensor, Tensor | None]]) -> dict[str, float]:
        images, classes = sample(self.count)
        features, logits = self.extractor(images)
        scores = {"frechet": frechet_distance(features, self.real), "frechet_floor": self.floor}
        if logits is not None and classes is not None and self.classes == self.extractor.classes:
            scores["recognised"] = (logits.argmax(1) == classes).float().mean().item()
        return scores


@dataclass(frozen=True)
class Contestant:
    """A trainer, named functions that sample, and the numbers of parameters that sampling and training need."""

    trainer: AnyTrainer
    draws: dict[str, Draw]
    sampling: int
    training: int


def adversarial(config: Config, dataset: Dataset, peer: bool) -> Contestant:
    torch.manual_seed(config.train.seed)
    spec = DataSpec.of(dataset)
    networks = build(config, spec)
    if peer:
        target = parameters(networks.generator, networks.critics)
        networks = pixel_networks(spec.sample_shape, *dcgan(target, spec.condition, spec.sample_shape))
    device = choose_device(config.train.device)
    trainer = Trainer(config, networks, dataset, device, choose_dtype(config.train.precision, device)[0])
    gan = GAN(config, spec, Networks(trainer.codec, trainer.ema.model, trainer.critics))
    sampling = parameters(trainer.generator)
    name = "DCGAN" if peer else "ours"
    return Contestant(trainer, {name: gan.sample}, sampling, sampling + parameters(*trainer.critics))


def own_dcgan(config: Config, dataset: Dataset) -> Contestant:
    """A DCGAN in its paper's own loop."""
    torch.manual_seed(config.train.seed)
    spec = DataSpec.of(dataset)
    networks = build(config, spec)
    target = parameters(networks.generator, networks.critics)
    pair = dcgan(target, spec.condition, spec.sample_shape, batch_norm=True)
    trainer = DCGANTrainer(*pair, dataset, choose_device(config.train.device), config.train.seed)
    return Contestant(trainer, {"DCGAN, its own loop": trainer.sample}, parameters(pair[0]), parameters(*pair))


def flow(config: Config, dataset: Dataset, settings: FlowConfig) -> Contestant:
    torch.manual_seed(config.train.seed)
    device = choose_device(config.train.device)
    trainer = FlowTrainer(config, settings, dataset, device)
    draws: dict[str, Draw] = {
        f"flow, {steps} step{'s' * (steps > 1)}": functools.partial(trainer.sample, steps=steps) for steps in STEPS
    }
    size = parameters(trainer.model)
    return Contestant(trainer, draws, size, size)


def train(trainer: AnyTrainer, until: list[float], clock: Callable[[], float]) -> Iterator[float]:
    """Trains until each of these numbers of seconds; yields the seconds that it took."""
    used = 0.0
    for stop in until:
        while used < stop:
            started = clock()
            trainer.step()
            if trainer.device.type == "cuda":
                torch.cuda.synchronize()
            used += clock() - started
        yield used


def lasting(config: Config, dataset: Dataset, peer: bool, seconds: float, clock: Callable[[], float]) -> Config:
    """The configuration with as many samples as the time allows, by a trial run."""
    trainer = adversarial(config, dataset, peer).trainer
    trainer.step()
    (used,) = train(trainer, [min(TRIAL_SECONDS, seconds / 10)], clock)
    rate = (trainer.samples_seen - config.train.batch_size) / used
    return config.replace({"train.num_samples": max(1, int(rate * seconds))})


def run(name: str, config: Config, dataset: Dataset, metric: Metric, arguments: argparse.Namespace) -> Iterator[dict]:
    """One row for each curve and point."""
    clock, seconds = CLOCKS[arguments.clock], 60 * arguments.minutes
    if name == "flow":
        contestant = flow(config, dataset, read_flow(arguments.flow))
    elif name == "dcgan-own":
        contestant = own_dcgan(config, dataset)
    else:
        config = lasting(config, dataset, name == "dcgan", seconds, clock)
        contestant = adversarial(config, dataset, name == "dcgan")
    trainer, classes = contestant.trainer, dataset.num_classes
    stops = [seconds * point / arguments.points for point in range(1, arguments.points + 1)]
    for stop, used in zip(stops, train(trainer, stops, clock), strict=True):
        for curve, sample in contestant.draws.items():

            def sampled(count: int, sample: Draw = sample) -> tuple[Tensor, Tensor | None]:
                return sample(count), torch.arange(count) % classes if classes else None

            scores = metric(sampled)
            yield {
                "data": dataset.name,
                "contestant": curve,
                "seed": config.train.seed,
                "at": stop / 60,
                "minutes": used / 60,
                "samples_seen": trainer.samples_seen,
                "sampling_parameters": contestant.sampling,
                "training_parameters": contestant.training,
            } | scores
    if arguments.pictures:
        arguments.pictures.mkdir(parents=True, exist_ok=True)
        for curve, sample in contestant.draws.items():
            file = f"{Path(dataset.name).name}-{curve.replace(', ', '-').replace(' ', '-')}-seed{config.train.seed}.png"
            save_image(grid(sample(100), 10), arguments.pictures / file)


def curves(rows: list[dict], score: str) -> dict[str, dict[float, float]]:
    """The score of each contestant at each of its times, the median over seeds."""
    found: dict[str, dict[float, list[float]]] = {}
    for row in rows:
        if score in row:
            found.setdefault(row["contestant"], {}).setdefault(row["at"], []).append(row[score])
    return {
        name: {at: statistics.median(values) for at, values in sorted(points.items())} for name, points in found.items()
    }


def table(rows: list[dict]) -> str:
    distances, recognised = curves(rows, "frechet"), curves(rows, "recognised")
    times = sorted({at for points in distances.values() for at in points})
    head = ["", "parameters that sample", "in all", "samples seen", *(f"{at:.3g} min" for at in times), "recognised"]
    lines = [head, ["-", *["-:"] * (len(head) - 1)]]
    for name, points in distances.items():
        last = [row for row in rows if row["contestant"] == name and row["at"] == max(points)]
        cells = [name, *(f"{last[0][of]:,}" for of in ("sampling_parameters", "training_parameters"))]
        cells.append(f"{statistics.median(row['samples_seen'] for row in last):,.0f}")
        cells += [f"{points[at]:.{max(0, 2 - int(math.log10(points[at])))}f}" if at in points else "" for at in times]
        lines.append([*cells, f"{recognised[name][max(points)]:.1%}" if name in recognised else ""])
    seeds = sorted({row["seed"] for row in rows})
    floor = statistics.median(row["frechet_floor"] for row in rows)
    title = f"Fréchet distance after minutes of training, {rows[0]['data']}, seeds {seeds}; as many real: {floor:.2g}"
    return "\n".join([title, "", *(f"| {' | '.join(line)} |" for line in lines)])


def plot(rows: list[dict], path: Path) -> None:
    scores = [score for score in ("frechet", "recognised") if any(score in row for row in rows)]
    figure, axes = make_figure(1, len(scores), (5.5 * len(scores), 4))
    for axis, score in zip(axes, scores, strict=True):
        for name, points in curves(rows, score).items():
            axis.plot(list(points), list(points.values()), marker="o", markersize=3, label=name)
        axis.set(xlabel="minutes of training", xlim=(0, None))
    axes[0].axhline(statistics.median(row["frechet_floor"] for row in rows), color="grey", ls="--", label="real")
    axes[0].set(yscale="log", ylabel="Fréchet distance")
    axes[0].legend()
    if len(scores) > 1:
        axes[1].set(ylabel="recognised as what it was made for", ylim=(0, 1))
    figure.savefig(path, dpi=120)


def read_flow(pairs: list[str]) -> FlowConfig:
    changes = dict(pair.split("=", 1) for pair in pairs)
    kinds = {field.name: type(field.default) for field in dataclasses.fields(FlowConfig)}
    return FlowConfig(**{name: kinds[name](value) for name, value in changes.items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", nargs="?", default="digits")
    parser.add_argument("--resolution", type=int)
    parser.add_argument("--held-out", metavar="DATA", help="images to compare with")
    parser.add_argument("--extractor", default="untrained", help="for images other than the digits")
    parser.add_argument("--num", type=int, default=2000, help="compare at most so many samples of such images")
    parser.add_argument("--size", choices=presets.SIZES, default="XS", help="size of our networks for such images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--points", type=int, default=5, help="number of evaluations of each contestant")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: on a machine that others use too")
    parser.add_argument("--only", nargs="*", choices=CONTESTANTS, default=CONTESTANTS)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings of our loop")
    parser.add_argument("--flow", nargs="*", default=[], metavar="NAME=VALUE", help="other settings of flow.FlowConfig")
    parser.add_argument("--add", nargs="*", type=Path, default=[], metavar="FILE", help="lines of earlier runs")
    parser.add_argument("--plot", type=Path, metavar="FILE.png")
    parser.add_argument(
        "--pictures", type=Path, metavar="FOLDER", help="write a grid of final samples of each contestant"
    )
    arguments = parser.parse_args()
    rows = [json.loads(line) for file in arguments.add for line in file.read_text().splitlines() if line[:1] == "{"]
    if arguments.only:
        dataset = open_dataset(arguments.data, resolution=arguments.resolution)
        digits = arguments.data == "digits"
        config = (
            presets.digits() if digits else presets.configured(DataSpec.of(dataset), len(dataset), size=arguments.size)
        )
        config = config.replace(dict(pair.split("=", 1) for pair in arguments.set) | {"train.seed": arguments.seed})
        metric: Metric
        if digits:
            metric = DigitMetric(dataset)
        else:
            held_out = dataset.held_out
            if arguments.held_out:
                held_out = open_dataset(arguments.held_out, resolution=arguments.resolution)
            metric = PictureMetric(dataset, held_out, arguments.extractor, arguments.num)
        for name in arguments.only:
            for row in run(name, config, dataset, metric, arguments):
                rows.append(row)
                print(json.dumps(row), flush=True)
    print("\n" + table(rows))
    if arguments.plot:
        plot(rows, arguments.plot)
        print(f"plotted to {arguments.plot}", file=sys.stderr)


if __name__ == "__main__":
    main()
