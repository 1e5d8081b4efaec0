"""A run's clips; those by way of a trained codec beside its reconstructions and random latents without a GAN.

    python -m benchmarks.clips runs/bouncing-1

Prints a JSON line each, with the scores of `sparring evaluate` and, of bouncing digits, their motion's
(`examples/layered_video/motion.py`); those of real clips are their `_floor`.
"""

import argparse
import json

import torch
from torch import Tensor

import examples.layered_video  # noqa: F401  # registers its metric, motion
import sparring
from sparring.metrics.clips import BATCH
from sparring.modalities.metrics import metric_for
from sparring.pretrained import open_data_of


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    gan = sparring.load(parser.parse_args().run)
    data = open_data_of(gan)
    metric, held_out = metric_for(data), data.held_out or data
    assert metric is not None, "clips can be compared from four on"

    def reconstructed(count: int) -> tuple[Tensor, None]:
        chosen = torch.arange(len(held_out) - count, len(held_out))
        return torch.cat([gan.reconstruct(held_out.batch(part)[0]) for part in chosen.split(BATCH)]), None

    def random(count: int) -> tuple[Tensor, None]:
        latents = torch.randn(count, *gan.codec.latent_shape, generator=torch.Generator().manual_seed(0))
        clips = torch.cat([gan.codec.decode(part) for part in latents.split(BATCH)])
        return gan.modality.to_user(clips, gan.spec), None

    contestants = {"samples": lambda count: (gan.sample(count), None)}
    if gan.codec.learns:
        contestants |= {"the codec's reconstructions": reconstructed, "random latents": random}
    for name, sample in contestants.items():
        print(json.dumps({"clips": name} | metric(sample)), flush=True)


if __name__ == "__main__":
    main()
