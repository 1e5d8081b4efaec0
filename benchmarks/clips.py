"""Scores of a run's clips and, with a trained codec, of its reconstructions and of decoded random latents.

    python benchmarks/clips.py runs/bouncing-1

Prints a JSON line for each, with the scores of `sparring evaluate`; bouncing digits are also scored by the metric
`motion` of `examples/layered_video`. The scores of real clips are the `_floor`.
"""

import argparse
import importlib
import json
import sys
from pathlib import Path

import torch
from torch import Tensor

import sparring
from sparring.metrics.clips import BATCH
from sparring.modalities.metrics import metric_for
from sparring.pretrained import open_data_of

ROOT = Path(__file__).parents[1]


def register_motion() -> None:
    """Imports the plug-in with the codec `layers` and the metric `motion`."""
    sys.path.append(str(ROOT))
    importlib.import_module("examples.layered_video")


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    register_motion()
    gan = sparring.load(parser.parse_args().run)
    data = open_data_of(gan)
    metric, held_out = metric_for(data), data.held_out or data
    assert metric is not None, "a metric of clips needs at least four"

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
