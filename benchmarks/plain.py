"""The same two networks and the same training step in plain PyTorch, without optimisation for speed.

Nothing of Sparring is used. There are as many parameters as in our image preset without stem. The step is the published
one: separate passes of the discriminator on real samples and fakes, R1 and R2 by double backward on the whole batch,
another pass on the real samples for the generator's loss, Adam with its defaults, the EMA in a loop.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

Z_DIM, NOISE_DIM = 64, 16


def rotary(rows: int, columns: int, head_width: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines of axial rotary positions, (N, head_width) each."""
    frequencies = 100.0 ** -torch.linspace(0, 1, head_width // 4 + 1)[:-1]
    y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
    angles = torch.cat([y.reshape(-1, 1) * frequencies, x.reshape(-1, 1) * frequencies], 1).repeat(1, 2)
    return angles.cos(), angles.sin()


def rotate_half(x: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return torch.cat([-second, first], -1)


class Attention(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.query_norm = nn.RMSNorm(width // num_heads)
        self.key_norm = nn.RMSNorm(width // num_heads)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        query, key, value = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        query, key = self.query_norm(query), self.key_norm(key)
        query, key = query * cos + rotate_half(query) * sin, key * cos + rotate_half(key) * sin
        x = F.scaled_dot_product_attention(query, key, value)
        return self.project(x.transpose(1, 2).flatten(2))


class SwiGLU(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        hidden = round(width / 3) * 8
        self.gate = nn.Linear(width, hidden)
        self.value = nn.Linear(width, hidden)
        self.project = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        return self.project(F.silu(self.gate(x)) * self.value(x))


class GeneratorBlock(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, elementwise_affine=False)
        self.attention = Attention(width, num_heads)
        self.mlp_norm = nn.RMSNorm(width, elementwise_affine=False)
        self.mlp = SwiGLU(width)
        self.modulation = nn.Linear(width, 4 * width)

    def forward(self, x: Tensor, w: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        scale_a, gate_a, scale_m, gate_m = self.modulation(w).unsqueeze(1).chunk(4, -1)
        x = x + gate_a * self.attention(self.attention_norm(x) * (1 + scale_a), cos, sin)
        return x + gate_m * self.mlp(self.mlp_norm(x) * (1 + scale_m))


class DiscriminatorBlock(nn.Module):
    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width)
        self.attention = Attention(width, num_heads)
        self.attention_scale = nn.Parameter(torch.ones(width))
        self.mlp_norm = nn.RMSNorm(width)
        self.mlp = SwiGLU(width)
        self.mlp_scale = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention_scale * self.attention(self.attention_norm(x), cos, sin)
        return x + self.mlp_scale * self.mlp(self.mlp_norm(x))


class Generator(nn.Module):
    """z (B, 64) and noise (B, N, 16) to images (B, C, H, W)."""

    def __init__(
        self, rows: int, columns: int, *, channels: int, patch: int, width: int, depth: int, num_heads: int
    ) -> None:
        super().__init__()
        self.rows, self.patch = rows, patch
        self.mapping = nn.Sequential(nn.Linear(Z_DIM, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.embed = nn.Linear(NOISE_DIM, width)
        self.positions = nn.Parameter(0.5 * torch.randn(rows * columns, width))
        self.blocks = nn.ModuleList(GeneratorBlock(width, num_heads) for _ in range(depth))
        self.norm = nn.RMSNorm(width, elementwise_affine=False)
        self.scale = nn.Linear(width, width)
        self.to_patch = nn.Linear(width, channels * patch**2)
        cos, sin = rotary(rows, columns, width // num_heads)
        self.register_buffer("cos", cos)
        self.register_buffer("sin", sin)

    def forward(self, z: Tensor, noise: Tensor) -> Tensor:
        w = self.mapping(F.rms_norm(z, z.shape[-1:]))
        x = self.embed(noise) + self.positions
        for block in self.blocks:
            x = block(x, w, self.cos, self.sin)
        x = torch.tanh(self.to_patch(self.norm(x) * (1 + self.scale(w).unsqueeze(1))))
        return F.pixel_shuffle(x.transpose(1, 2).unflatten(2, (self.rows, -1)), self.patch)


class Discriminator(nn.Module):
    """Images (B, C, H, W) to logits (B,)."""

    def __init__(
        self, rows: int, columns: int, *, channels: int, patch: int, width: int, depth: int, num_heads: int
    ) -> None:
        super().__init__()
        self.patch = patch
        self.embed = nn.Linear(channels * patch**2, width)
        self.positions = nn.Parameter(0.5 * torch.randn(rows * columns, width))
        self.class_token = nn.Parameter(0.5 * torch.randn(1, 1, width))
        self.blocks = nn.ModuleList(DiscriminatorBlock(width, num_heads) for _ in range(depth))
        self.norm = nn.RMSNorm(width)
        self.head = nn.Linear(width, 1)
        self.token_head = nn.Linear(rows * columns * width, 1)
        cos, sin = rotary(rows, columns, width // num_heads)
        self.register_buffer("cos", F.pad(cos, (0, 0, 1, 0), value=1.0))  # the class token is not rotated
        self.register_buffer("sin", F.pad(sin, (0, 0, 1, 0)))

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(F.pixel_unshuffle(x, self.patch).flatten(2).transpose(1, 2)) + self.positions
        x = torch.cat([self.class_token.expand(len(x), -1, -1), x], 1)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        x = self.norm(x)
        return (self.head(x[:, 0]) + self.token_head(x[:, 1:].flatten(1))).squeeze(1).float()


class PlainGAN:
    """Both networks and the training step; `rows` and `columns` count tokens."""

    def __init__(
        self,
        rows: int,
        columns: int,
        *,
        width: int,
        depth: int,
        num_heads: int,
        channels: int = 3,
        patch: int = 4,
        dtype: torch.dtype = torch.float32,
        lr: float = 4e-4,
        gamma: float = 0.5,
        ema_decay: float = 0.999,
    ) -> None:
        shape = {"channels": channels, "patch": patch, "width": width, "depth": depth, "num_heads": num_heads}
        self.generator = Generator(rows, columns, **shape)
        self.discriminator = Discriminator(rows, columns, **shape)
        self.ema = copy.deepcopy(self.generator).requires_grad_(False)
        self.optimizer_g = torch.optim.Adam(self.generator.parameters(), lr, betas=(0.0, 0.99))
        self.optimizer_d = torch.optim.Adam(self.discriminator.parameters(), lr, betas=(0.0, 0.99))
        self.num_tokens, self.dtype, self.gamma, self.ema_decay = rows * columns, dtype, gamma, ema_decay

    def generate(self, count: int) -> Tensor:
        with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
            fake = self.generator(torch.randn(count, Z_DIM), torch.randn(count, self.num_tokens, NOISE_DIM))
        return fake.float()

    def discriminate(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", self.dtype, enabled=self.dtype != torch.float32):
            return self.discriminator(x)

    def step(self, real: Tensor) -> None:
        fake = self.generate(len(real))
        self.discriminator.requires_grad_(True)
        with sdpa_kernel(SDPBackend.MATH):  # the fused kernels have no second derivative
            samples, fakes = real.detach().requires_grad_(True), fake.detach().requires_grad_(True)
            logits_real, logits_fake = self.discriminate(samples), self.discriminate(fakes)
            loss = F.softplus(logits_fake - logits_real) + 0.01 * (logits_real + logits_fake).square()
            for x, logits in ((samples, logits_real), (fakes, logits_fake)):
                (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
                loss = loss + self.gamma / 2 * gradient.square().sum((1, 2, 3))
            self.optimizer_d.zero_grad()
            loss.mean().backward()
        self.optimizer_d.step()

        self.discriminator.requires_grad_(False)
        with torch.no_grad():
            logits_real = self.discriminate(real)
        self.optimizer_g.zero_grad()
        F.softplus(logits_real - self.discriminate(fake)).mean().backward()
        self.optimizer_g.step()
        with torch.no_grad():
            for averaged, current in zip(self.ema.parameters(), self.generator.parameters(), strict=True):
                averaged.mul_(self.ema_decay).add_(current, alpha=1 - self.ema_decay)
