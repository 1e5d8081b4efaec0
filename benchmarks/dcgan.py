"""A DCGAN of given size in the shape of our networks, so that our loop trains it: the convolutional peer.

Radford et al. 2016, for 28×28: batch norm and ReLU in the generator, leaky ReLU in the discriminator, tanh at the end.
The discriminator has no batch norm, as gradient penalties judge each sample by itself. Classes enter the generator
beside z and the discriminator by projection, as in ours.
"""

import torch
from torch import Tensor, nn


class DCGANGenerator(nn.Module):
    """z (B, z_size) and class labels to pixels as tokens (B, 784, 1)."""

    def __init__(self, channels: int, num_classes: int, z_dim: int = 32) -> None:
        super().__init__()
        self.z_size = self.z_dim = z_dim
        self.class_embedding = nn.Embedding(max(1, num_classes), 32)
        self.start = nn.Linear(z_dim + 32, 4 * channels * 49)
        self.layers = nn.Sequential(
            nn.BatchNorm2d(4 * channels),
            nn.ReLU(),
            nn.ConvTranspose2d(4 * channels, 2 * channels, 4, 2, 1),
            nn.BatchNorm2d(2 * channels),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * channels, channels, 4, 2, 1),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, 1, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, z: Tensor, class_labels: Tensor) -> Tensor:
        return self.synthesize(self.mapping(z, class_labels))

    # The names under which our sampler calls a generator.

    def mapping(self, z: Tensor, class_labels: Tensor) -> Tensor:
        return torch.cat([z, self.class_embedding(class_labels)], 1)

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z, z[:, :0]

    def synthesize(self, w: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.layers(self.start(w).unflatten(1, (-1, 7, 7))).flatten(2).transpose(1, 2)


class DCGANDiscriminator(nn.Module):
    """Pixels as tokens (B, 784, 1) and class labels to logits (B,)."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        sizes = [1, channels, 2 * channels, 4 * channels]
        self.layers = nn.Sequential(
            nn.Conv2d(sizes[0], sizes[1], 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(sizes[1], sizes[2], 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(sizes[2], sizes[3], 4, 2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Flatten(),
        )
        self.head = nn.Linear(49 * sizes[3], 1)
        self.class_embedding = nn.Embedding(num_classes, 49 * sizes[3]) if num_classes else None

    def forward(self, tokens: Tensor, class_labels: Tensor) -> Tensor:
        features = self.layers(tokens.transpose(1, 2).unflatten(2, (28, 28)))
        logits = self.head(features).squeeze(1)
        if self.class_embedding is not None:
            logits = logits + (features * self.class_embedding(class_labels)).mean(1) * features.shape[1] ** 0.5
        return logits


def parameters(*networks: nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters())
