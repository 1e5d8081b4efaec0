"""How far a run's pictures are from other data, in the features of a CIFAR-10 classifier given as a file.

    python benchmarks/pictures.py runs/cifar --held-out cifar10/test --weights resnet56-4bfd9763.th
    python benchmarks/pictures.py runs/hero --weights resnet56-4bfd9763.th     # no held-out set: half of the data

The weights are those of the CIFAR-10 ResNets of Y. Idelbayev (ResNet-20 to -56, BSD). Pictures are resized to 32×32,
transparent ones laid on black. It is not Inception: compare distances within one data set only, and with the floor,
that of as many real training pictures.
"""

import argparse
import dataclasses
import json
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

import sparring
from sparring.data import open_dataset
from sparring.data.dataset import Dataset
from sparring.metrics.frechet import frechet_distance

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


class Block(nn.Module):
    """He et al. 2016, with the shortcut that pads channels (option A)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride, self.more = stride, (outputs - inputs) // 2

    def forward(self, x: Tensor) -> Tensor:
        shortcut = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.more, self.more))
        x = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(x + shortcut)


class ResNet(nn.Module):
    """Pictures (B, 3, 32, 32), normalised, to features (B, 64) and class logits (B, 10)."""

    def __init__(self, weights: Path) -> None:
        super().__init__()
        stored = torch.load(weights, map_location="cpu", weights_only=True)["state_dict"]
        stored = {name.removeprefix("module."): value for name, value in stored.items()}
        depth = len({name.split(".")[1] for name in stored if name.startswith("layer1.")})
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        sizes = [(16, 16, 1), (16, 32, 2), (32, 64, 2)]
        for number, (inputs, outputs, stride) in enumerate(sizes, 1):
            first = Block(inputs, outputs, stride)
            rest = [Block(outputs, outputs, 1) for _ in range(depth - 1)]
            self.add_module(f"layer{number}", nn.Sequential(first, *rest))
        self.linear = nn.Linear(64, 10)
        self.load_state_dict(stored)
        self.eval().requires_grad_(False)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        features = x.mean((2, 3))
        return features, self.linear(features)


def look(model: ResNet, pictures: Tensor) -> tuple[Tensor, Tensor]:
    """Features and recognised classes of pictures (N, C, H, W) in [-1, 1]."""
    parts = []
    for chunk in pictures.split(250):
        x = (chunk + 1) / 2
        if x.shape[1] in (2, 4):
            x = x[:, :-1] * x[:, -1:]
        x = x.expand(-1, 3, -1, -1) if x.shape[1] == 1 else x
        if x.shape[2:] != (32, 32):
            x = F.interpolate(x, (32, 32), mode="bilinear", antialias=True)
        parts.append(model((x - torch.tensor(MEAN)[:, None, None]) / torch.tensor(STD)[:, None, None]))
    return torch.cat([features for features, _ in parts]), torch.cat([logits for _, logits in parts]).argmax(1)


def draw(dataset: Dataset, count: int, seed: int, half: int | None = None) -> Tensor:
    """Real pictures at random; of the even (0) or odd (1) places only, where asked."""
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
    training = open_dataset(**dataclasses.asdict(gan.config.data))
    held_out = open_dataset(arguments.held_out, resolution=gan.config.data.resolution) if arguments.held_out else None
    count = min(arguments.num, len(held_out) if held_out else len(training) // 2)
    model = ResNet(arguments.weights)
    if held_out:
        reference, others = draw(held_out, count, 0), draw(training, count, 1)
    else:
        reference, others = draw(training, count, 0, half=0), draw(training, count, 1, half=1)
    real, _ = look(model, reference)
    features, found = look(model, gan.sample(count))
    noise, _ = look(model, torch.rand(reference.shape) * 2 - 1)
    result: dict[str, object] = {
        "run": str(arguments.run),
        "features": arguments.weights.name,
        "samples": count,
        "frechet": frechet_distance(features, real),
        "frechet_floor": frechet_distance(look(model, others)[0], real),
        "frechet_of_noise": frechet_distance(noise, real),
    }
    if gan.class_names == CIFAR:
        result["recognised"] = (found == torch.arange(count) % 10).float().mean().item()
        result["recognised_real"] = _recognised(model, held_out or training)
    print(json.dumps(result))


def _recognised(model: ResNet, dataset: Dataset) -> float:
    chosen = torch.randperm(len(dataset), generator=torch.Generator().manual_seed(2))[:2000]
    pictures, classes = dataset.batch(chosen)
    return (look(model, pictures)[1] == classes).float().mean().item()


if __name__ == "__main__":
    main()
