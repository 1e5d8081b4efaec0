"""Fréchet distance of a run's images from other data, in the features of a CIFAR-10 classifier given as a file.

    python benchmarks/pictures.py runs/cifar --held-out cifar10/test --weights resnet56-4bfd9763.th
    python benchmarks/pictures.py runs/hero --weights resnet56-4bfd9763.th     # no held-out set: half of the data

The weights are those of the CIFAR-10 ResNets of Y. Idelbayev (ResNet-20 to -56, BSD). Images are resized to 32×32 and,
if transparent, put on black. This is not FID: compare distances within one data set only, and with the floor, the
distance of as many real training images.
"""

import argparse
import json
from pathlib import Path

import torch
from torch import Tensor

import sparring
from sparring.data.dataset import Dataset
from sparring.metrics.extractors import Extractor, make_extractor
from sparring.metrics.frechet import frechet_distance
from sparring.modalities.registry import open_dataset


def draw(dataset: Dataset, count: int, seed: int, half: int | None = None) -> Tensor:
    """Random real images; with `half`, those at even (0) or odd (1) places only."""
    places = torch.arange(len(dataset)) if half is None else torch.arange(half, len(dataset), 2)
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(seed))
    return dataset.batch(places[order[:count]])[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--held-out")
    parser.add_argument("--num", type=int, default=5000)
    arguments = parser.parse_args()
    gan = sparring.load(arguments.run)
    training = open_dataset(**gan.config.data.to_dict())
    held_out = open_dataset(arguments.held_out, resolution=gan.config.data.resolution) if arguments.held_out else None
    count = min(arguments.num, len(held_out) if held_out else len(training) // 2)
    extractor = make_extractor(f"cifar10-resnet:{arguments.weights}", training.sample_shape)
    if held_out:
        reference, others = draw(held_out, count, 0), draw(training, count, 1)
    else:
        reference, others = draw(training, count, 0, half=0), draw(training, count, 1, half=1)
    real, _ = extractor(reference)
    features, logits = extractor(gan.sample(count))
    assert logits is not None
    noise, _ = extractor(torch.rand(reference.shape) * 2 - 1)
    result: dict[str, object] = {
        "run": str(arguments.run),
        "features": arguments.weights.name,
        "samples": count,
        "frechet": frechet_distance(features, real),
        "frechet_floor": frechet_distance(extractor(others)[0], real),
        "frechet_of_noise": frechet_distance(noise, real),
    }
    if gan.class_names == extractor.classes:
        result["recognised"] = (logits.argmax(1) == torch.arange(count) % 10).float().mean().item()
        result["recognised_real"] = _recognised(extractor, held_out or training)
    print(json.dumps(result))


def _recognised(extractor: Extractor, dataset: Dataset) -> float:
    chosen = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(2))[:2000]
    images, classes = dataset.batch(chosen)
    logits = extractor(images)[1]
    assert logits is not None
    return (logits.argmax(1) == classes).float().mean().item()


if __name__ == "__main__":
    main()
