"""A transformer GAN in one file: 25 Gaussians in the plane. `python examples/toy_gan.py --out toy_gan.png`

Two transformers spar. The generator turns noise into points, the discriminator tells them from real ones. The loop is
the textbook's: generate, discriminate, compute both losses, update both, repeat. Shapes: B points, T tokens, D width.
"""

import argparse
import copy
import functools
import json
import math
import time

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MODES = torch.cartesian_prod(torch.arange(-4.0, 5, 2), torch.arange(-4.0, 5, 2))  # (25, 2)
STD = 0.1  # of each Gaussian; neighbours are 2 apart


def draw_real(count: int) -> Tensor:
    return MODES[torch.randint(len(MODES), (count,))] + STD * torch.randn(count, 2)


class Attention(nn.Module):
    """softmax(Q K^T / sqrt(d_k)) V with several heads and normalised queries and keys."""

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv, self.project = nn.Linear(width, 3 * width, bias=False), nn.Linear(width, width, bias=False)
        self.query_norm, self.key_norm = nn.RMSNorm(width // num_heads), nn.RMSNorm(width // num_heads)

    def forward(self, x: Tensor) -> Tensor:
        batch, tokens, width = x.shape
        qkv = self.qkv(x).view(batch, tokens, 3, self.num_heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, T, d_k)
        query, key = self.query_norm(query), self.key_norm(key)
        weights = (query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])).softmax(-1)
        return self.project((weights @ value).transpose(1, 2).reshape(batch, tokens, width))


class SwiGLU(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.expand, self.project = nn.Linear(width, 4 * width, bias=False), nn.Linear(2 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.expand(x).chunk(2, -1)
        return self.project(F.silu(gate) * value)


class Block(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.RMSNorm(width), Attention(width, num_heads)
        self.mlp_norm, self.mlp = nn.RMSNorm(width), SwiGLU(width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.attention_norm(x))
        return x + self.mlp(self.mlp_norm(x))


class Numbers(nn.Module):
    """Numbers (B, T) to tokens (B, T, D): sines and cosines, without which small differences are hard to see."""

    def __init__(self, count: int, width: int, frequency: float, scale: float, position_std: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", frequency * torch.randn(width // 2))
        self.scale, self.embed = scale, nn.Linear(width + 1, width)
        self.positions = nn.Parameter(position_std * torch.randn(count, width))

    def forward(self, numbers: Tensor) -> Tensor:
        angles = numbers[..., None] * self.frequencies
        features = torch.cat([angles.sin(), angles.cos(), self.scale * numbers[..., None]], -1)
        return self.embed(features * math.sqrt(2)) + self.positions


class Generator(nn.Module):
    """z (B, 4) to points (B, 2): each number of z is a token, the first two end as the coordinates."""

    z_dim = 4

    def __init__(self, width: int = 32, depth: int = 2, num_heads: int = 2) -> None:
        super().__init__()
        self.embed = Numbers(self.z_dim, width, frequency=4.0, scale=1.0, position_std=0.3)
        self.blocks = nn.Sequential(*(Block(width, num_heads) for _ in range(depth)))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, 1)

    def forward(self, z: Tensor) -> Tensor:
        x = self.blocks(self.embed(z))  # (B, 4, D)
        return self.head(self.norm(x[:, :2])).squeeze(-1)

    def sample(self, count: int) -> Tensor:
        return self(torch.randn(count, self.z_dim))


class Discriminator(nn.Module):
    """Points (B, 2) to logits (B,): the coordinates are tokens; the class token before them gives the logit."""

    def __init__(self, width: int = 32, depth: int = 1, num_heads: int = 2) -> None:
        super().__init__()
        self.embed = Numbers(2, width, frequency=1.5, scale=1 / 3, position_std=1.0)
        self.class_token = nn.Parameter(torch.randn(width))
        self.blocks = nn.Sequential(*(Block(width, num_heads) for _ in range(depth)))
        self.norm, self.head = nn.RMSNorm(width), nn.Linear(width, 1)

    def forward(self, points: Tensor) -> Tensor:
        x = torch.cat([self.class_token.expand(len(points), 1, -1), self.embed(points)], 1)  # (B, 3, D)
        return self.head(self.norm(self.blocks(x)[:, 0])).squeeze(-1)


def initialize(network: nn.Module, head_scale: float) -> None:
    for module in (module for module in network.modules() if isinstance(module, nn.Linear)):
        nn.init.normal_(module.weight, std=module.in_features**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    network.head.weight.data.mul_(head_scale)  # the generator starts as wide as the data, the discriminator unsure


def train(seed: int = 0, steps: int = 1400, loss: str = "relativistic") -> Generator:
    """Trains on `steps` batches and returns the averaged generator."""
    batch_size, lr, warmup, gamma, gamma_end, epsilon = 128, 2e-3, 200, 2.0, 0.001, 0.03
    torch.manual_seed(seed)
    generator, discriminator = Generator(), Discriminator()
    initialize(generator, head_scale=2.0)
    initialize(discriminator, head_scale=0.3)
    ema = copy.deepcopy(generator)
    # No momentum: it makes the two players overshoot each other.
    adam = functools.partial(torch.optim.Adam, betas=(0.0, 0.99), fused=True)
    optimizer_g, optimizer_d = adam(generator.parameters(), lr), adam(discriminator.parameters(), lr)
    for step in range(steps):
        progress = step / steps
        for optimizer in (optimizer_g, optimizer_d):
            cosine = 0.5 * (1 + math.cos(math.pi * progress))
            optimizer.param_groups[0]["lr"] = lr * min(1, (step + 1) / warmup) * cosine
        # 1. generate
        fakes, reals = generator.sample(batch_size), draw_real(batch_size)
        # 2. discriminate, a quarter of the batch also at close points: R1 and R2 penalise finite differences
        points = torch.cat([reals, fakes])
        near = points.detach()[::4] + epsilon * torch.randn(batch_size // 2, 2)
        logits, logits_near = discriminator(torch.cat([points, near])).split([len(points), len(near)])
        logits_real, logits_fake = logits.chunk(2)
        # 3. compute both losses
        if loss == "relativistic":
            loss_d = F.softplus(logits_fake - logits_real).mean()
            loss_g = F.softplus(logits_real - logits_fake).mean()
        else:  # the textbook's: -log D(x) - log(1 - D(G(z))) and -log D(G(z))
            loss_d = F.softplus(-logits_real).mean() + F.softplus(logits_fake).mean()
            loss_g = F.softplus(-logits_fake).mean()
        r1_and_r2 = 2 * ((logits_near - logits[::4]) / epsilon).square().mean()
        strength = gamma * (gamma_end / gamma) ** progress  # smooth first, so that no mode is out of sight
        # 4. update both
        gradients_g = torch.autograd.grad(loss_g, list(generator.parameters()), retain_graph=True)
        gradients_d = torch.autograd.grad(loss_d + strength / 2 * r1_and_r2, list(discriminator.parameters()))
        for optimizer, gradients in ((optimizer_g, gradients_g), (optimizer_d, gradients_d)):
            for parameter, gradient in zip(optimizer.param_groups[0]["params"], gradients, strict=True):
                parameter.grad = gradient
            optimizer.step()
        with torch.no_grad():
            for average, parameter in zip(ema.parameters(), generator.parameters(), strict=True):
                average.lerp_(parameter, 1 - min(0.99, (step + 1) / (step + 10)))
        # 5. repeat
        if (step + 1) % 200 == 0:
            modes, share = score(ema)
            print(f"step {step + 1}  loss D {loss_d:.3f} G {loss_g:.3f}  modes {modes}  within 3 sigma {share:.1%}")
    return ema


@torch.no_grad()
def score(generator: Generator, count: int = 10_000) -> tuple[int, float]:
    """Modes with at least a tenth of their fair share within 3 sigma, and the share of all samples there."""
    distances, nearest = torch.cdist(generator.sample(count), MODES).min(1)
    close = distances <= 3 * STD
    hits = torch.bincount(nearest[close], minlength=len(MODES))
    return int((hits >= 0.1 * count / len(MODES)).sum()), close.float().mean().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--loss", choices=["relativistic", "non-saturating"], default="relativistic")
    parser.add_argument("--out", help="a picture of real and generated points")
    arguments, started = parser.parse_args(), time.perf_counter()
    generator = train(arguments.seed, loss=arguments.loss)
    modes, share = score(generator)
    print(json.dumps({"modes": modes, "share_within_3_sigma": share, "seconds": time.perf_counter() - started}))
    if arguments.out:
        import matplotlib.pyplot as plt

        for points, name in ((draw_real(3000), "real"), (generator.sample(3000).detach(), "generated")):
            plt.scatter(*points.T, s=2, label=name)
        plt.legend(loc="upper right")
        plt.savefig(arguments.out, dpi=110)


if __name__ == "__main__":
    main()
