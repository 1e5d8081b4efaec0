"""The convolutional peer: a DCGAN of given size with the interface of our networks, so that our loop can train it.

Radford et al. 2016, for 28×28: batch norm and ReLU in the generator, leaky ReLU in the discriminator, tanh at the end.
In our loop the discriminator has no batch norm, because gradient penalties need each logit to depend on one sample
only. The generator's class embedding is concatenated with z, the discriminator is a projection discriminator, as ours.
`DCGANTrainer` is the paper's own loop.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sparring.build import Networks
from sparring.codecs.patch import PatchCodec, Patches
from sparring.critics.critic import Critic
from sparring.critics.view import Whole
from sparring.data.conditions import Condition
from sparring.data.dataset import Dataset


class DCGANGenerator(nn.Module):
    """z (B, z_size) and classes (B,) to pixels as tokens (B, 784, 1)."""

    def __init__(self, channels: int, condition: Condition, z_dim: int = 32) -> None:
        super().__init__()
        self.condition = condition
        self.z_size = self.z_dim = z_dim
        self.class_embedding = nn.Embedding(max(1, condition.size), 32)
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

    def forward(self, z: Tensor, condition: Tensor) -> Tensor:
        return self.synthesize(self.mapping(z, condition))

    # The methods of a generator that `GAN.sample` calls.

    def mapping(self, z: Tensor, condition: Tensor) -> Tensor:
        return torch.cat([z, self.class_embedding(condition)], 1)

    def split(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return z, z[:, :0]

    def synthesize(self, w: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.layers(self.start(w).unflatten(1, (-1, 7, 7))).flatten(2).transpose(1, 2)


class DCGANDiscriminator(nn.Module):
    """Pixels as tokens (B, 784, 1) and classes (B,) to logits (B,)."""

    def __init__(self, channels: int, condition: Condition) -> None:
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
        self.class_embedding = nn.Embedding(condition.size, 49 * sizes[3]) if condition.size else None

    def forward(self, tokens: Tensor, condition: Tensor) -> Tensor:
        features = self.layers(tokens.transpose(1, 2).unflatten(2, (28, 28)))
        logits = self.head(features).squeeze(1)
        if self.class_embedding is not None:
            logits = logits + (features * self.class_embedding(condition)).mean(1) * features.shape[1] ** 0.5
        return logits


def pixel_networks(sample_shape: tuple[int, ...], generator: nn.Module, discriminator: nn.Module) -> Networks:
    """A DCGAN as `Networks`: each pixel is a token."""
    codec = PatchCodec(sample_shape, 1)
    return Networks(codec, generator, [Critic(Whole(codec), discriminator)])


class DCGANTrainer:
    """Radford et al. 2016, section 4: Adam with a learning rate of 2e-4 and beta1 0.5, batches of 128, weights from
    N(0, 0.02), the non-saturating loss, no penalties, no EMA. Both networks have batch norm; the discriminator's
    batches are real or fake, not mixed."""

    batch_size = 128

    def __init__(
        self, generator: nn.Module, discriminator: nn.Module, dataset: Dataset, device: torch.device, seed: int
    ) -> None:
        self.generator, self.discriminator = generator.to(device), discriminator.to(device)
        self.dataset, self.device, self.samples_seen = dataset, device, 0
        self.patches = Patches(dataset.sample_shape, 1)
        self.random = torch.Generator().manual_seed(seed)
        self.adams = [
            torch.optim.Adam(net.parameters(), 2e-4, betas=(0.5, 0.999)) for net in (generator, discriminator)
        ]
        for module in (*generator.modules(), *discriminator.modules()):
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                nn.init.normal_(module.weight, std=0.02)

    def step(self) -> None:
        places = torch.randint(len(self.dataset), (self.batch_size,), generator=self.random)
        samples, classes = (x.to(self.device) for x in self.dataset.batch(places))
        fakes = self.generator(self._z(self.batch_size), classes)
        logits_real = self.discriminator(self.patches.patchify(samples), classes)
        loss = F.softplus(-logits_real) + F.softplus(self.discriminator(fakes.detach(), classes))
        self._update(self.adams[1], loss)
        self._update(self.adams[0], F.softplus(-self.discriminator(fakes, classes)))
        self.samples_seen += self.batch_size

    @torch.no_grad()
    def sample(self, count: int) -> Tensor:
        """Samples of all classes in turn; batch norm uses its running statistics."""
        classes = self.generator.condition.spread(count).to(self.device)
        z = torch.randn(count, self.generator.z_size, generator=torch.Generator().manual_seed(0)).to(self.device)
        self.generator.eval()
        tokens = torch.cat([self.generator(*part) for part in zip(z.split(250), classes.split(250), strict=True)])
        self.generator.train()
        return self.patches.unpatchify(tokens).cpu()

    def _z(self, count: int) -> Tensor:
        return torch.randn(count, self.generator.z_size, generator=self.random).to(self.device)

    def _update(self, adam: torch.optim.Optimizer, loss: Tensor) -> None:
        for other in self.adams:
            other.zero_grad()
        loss.mean().backward()
        adam.step()


def parameters(*networks: nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters())
