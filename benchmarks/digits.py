"""Quality on the digits after a given time, over several seeds: ours, the non-saturating loss, a DCGAN in our loop.

    python benchmarks/digits.py --minutes 5 --seeds 0 1 2                      # ours
    python benchmarks/digits.py --minutes 5 --seeds 0 1 2 --loss non-saturating
    python benchmarks/digits.py --minutes 5 --seeds 0 1 2 --unconditional
    python benchmarks/digits.py --minutes 5 --seeds 0 1 2 --peer dcgan --lr 1e-3

A short trial measures the speed; it sets the run's length in samples, so that the schedules end with the time. A run
is stopped after 1.2 times its time at the latest. Prints a JSON line for each run, then the median.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import torch
from dcgan import DCGANDiscriminator, DCGANGenerator, parameters, pixel_networks

from sparring import presets
from sparring.build import Networks, build
from sparring.config import Config
from sparring.data.dataset import Dataset
from sparring.data.spec import DataSpec
from sparring.device import choose_device, choose_dtype
from sparring.display.images import grid, save_image
from sparring.metrics.digits import DigitMetric
from sparring.modalities.registry import open_dataset
from sparring.pretrained import GAN
from sparring.training.trainer import Trainer

DCGAN_CHANNELS = (15, 21)
"""Channels of the generator and of the discriminator, which then have about as many parameters as ours."""
TRIAL_SECONDS = 15


def make_trainer(config: Config, dataset: Dataset, peer: str | None) -> Trainer:
    torch.manual_seed(config.train.seed)
    spec = DataSpec.of(dataset)
    if peer == "dcgan":
        generator = DCGANGenerator(DCGAN_CHANNELS[0], spec.condition)
        discriminator = DCGANDiscriminator(DCGAN_CHANNELS[1], spec.condition)
        networks = pixel_networks(spec.sample_shape, generator, discriminator)
    else:
        networks = build(config, spec)
    device = choose_device(config.train.device)
    return Trainer(config, networks, dataset, device, choose_dtype(config.train.precision, device)[0])


def run(config: Config, dataset: Dataset, peer: str | None, minutes: float, out: Path) -> dict[str, float]:
    trial = make_trainer(config, dataset, peer)
    trial.step()
    started = time.perf_counter()
    trial.fit(lambda logs: time.perf_counter() - started < TRIAL_SECONDS)
    rate = (trial.samples_seen - config.train.batch_size) / (time.perf_counter() - started)
    config = config.replace({"train.num_samples": int(rate * 60 * minutes)})
    trainer = make_trainer(config, dataset, peer)
    started = time.perf_counter()
    trainer.fit(lambda logs: time.perf_counter() - started < 60 * minutes * 1.2)
    seconds = time.perf_counter() - started
    networks = Networks(trainer.codec, trainer.ema.model, trainer.critics)
    gan = GAN(config, DataSpec.of(dataset), networks)
    classes = dataset.num_classes

    def sample(count: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        return gan.sample(count), torch.arange(count) % classes if classes else None

    scores = DigitMetric(dataset)(sample)
    save_image(grid(gan.sample(100), 10), out)
    counts = {"g": parameters(trainer.generator), "d": parameters(*trainer.critics)}
    return {"seconds": seconds, "samples_seen": trainer.samples_seen} | counts | scores


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--peer", choices=["dcgan"])
    parser.add_argument("--loss", default="relativistic")
    parser.add_argument("--unconditional", action="store_true")
    parser.add_argument("--lr", type=float)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="other settings")
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark-digits"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    changes = {"loss.name": arguments.loss} | dict(pair.split("=", 1) for pair in arguments.set)
    if arguments.lr:
        changes["optim.lr"] = arguments.lr
    dataset = open_dataset("digits", conditional=not arguments.unconditional)
    name = "-".join([arguments.peer or "sparring", arguments.loss] + ["unconditional"] * arguments.unconditional)
    results = []
    for seed in arguments.seeds:
        config = presets.digits().replace(changes | {"train.seed": seed})
        picture = arguments.out / f"{name}-{arguments.minutes:g}min-seed{seed}.png"
        results.append(run(config, dataset, arguments.peer, arguments.minutes, picture))
        print(json.dumps({"name": name, "seed": seed} | results[-1]), flush=True)
    median = {key: statistics.median(result[key] for result in results) for key in results[0]}
    print(json.dumps({"name": name, "median of": len(results)} | median))


if __name__ == "__main__":
    main()
