"""TS2Vec (Yue et al. 2022): self-supervised features of time series.

Series are (N, C, T), NaN beyond their ends. Network, loss and training are the paper's.
"""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from sparring.metrics.series_scores import scaling, steps_of

FEATURES = 320
MAX_STEPS = 500
"""Training uses random windows of at most this length; the paper's code uses 3,000."""

_HIDDEN = 64
_BLOCKS = 10
_BATCH = 8
_AT_ONCE = 50_000  # steps that are encoded at once


class Encoder:
    """Series (N, C, T) in the units of the fitted series -> features (N, 320), on the CPU.

    A feature is the maximum of one network output over the steps of a series.
    """

    def __init__(self, network: nn.Module, low: Tensor, span: Tensor) -> None:
        self.network, self.low, self.span = network, low, span

    @torch.no_grad()
    def __call__(self, series: Tensor) -> Tensor:
        size = max(1, _AT_ONCE // series.shape[2])
        return torch.cat([self._encode(part) for part in series.split(size)])

    def _encode(self, series: Tensor) -> Tensor:
        values, mask = _prepared(series, self.low, self.span)
        return self.network(values, mask).masked_fill(~mask[:, None], -torch.inf).amax(2)


def fit_ts2vec(real: Tensor, *, seed: int = 0, iterations: int | None = None) -> Encoder:
    """Fits an encoder to series (N, C, T); deterministic for a seed, without an effect on torch's random state.

    The contrastive loss compares two crops of each series in a batch of 8. The positive pair is the same step in both
    crops; the negatives are the other steps of the series and the same step of other series. As in the paper's code,
    there are 200 iterations for up to 100,000 numbers and 600 for more, and the weights are averaged over iterations.
    """
    real = real.detach().to("cpu", torch.float32)
    if real.shape[2] < 2:
        raise ValueError("series of one step have no features: they need at least two")
    low, span = scaling(real)
    values, mask = _centred(*_prepared(real, low, span))
    if iterations is None:
        iterations = 200 if real.numel() <= 100_000 else 600
    # torch.manual_seed would also seed accelerators.
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.default_generator.manual_seed(seed)
        network = _Network(real.shape[1])
        average = AveragedModel(network)
        average.update_parameters(network)
        optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
        batches = _batches(len(real), min(_BATCH, len(real)))
        for _ in range(iterations):
            chosen = next(batches)
            optimizer.zero_grad()
            _loss(network, values[chosen], mask[chosen]).backward()
            optimizer.step()
            average.update_parameters(network)
    return Encoder(average.module.eval().requires_grad_(False), low, span)


class _Network(nn.Module):
    """Values (B, C, T) and a mask of their steps (B, T) -> features (B, 320, T)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv1d(channels, _HIDDEN, 1)
        blocks = [_Block(_HIDDEN, _HIDDEN, 2**index) for index in range(_BLOCKS)]
        self.blocks = nn.Sequential(*blocks, _Block(_HIDDEN, FEATURES, 2**_BLOCKS))
        self.dropout = nn.Dropout(0.1)

    def forward(self, values: Tensor, mask: Tensor) -> Tensor:
        if self.training:
            mask = mask & (torch.rand(mask.shape) < 0.5)
        return self.dropout(self.blocks(self.project(values) * mask[:, None]))


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(inputs, outputs, 3, padding=dilation, dilation=dilation)
        self.second = nn.Conv1d(outputs, outputs, 3, padding=dilation, dilation=dilation)
        self.skip = nn.Identity() if inputs == outputs else nn.Conv1d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        return _convolve(self.second, F.gelu(_convolve(self.first, F.gelu(x)))) + self.skip(x)


def _convolve(conv: nn.Conv1d, x: Tensor) -> Tensor:
    if conv.dilation[0] < x.shape[2]:
        return conv(x)
    # The outer weights are applied to padding only.
    return F.conv1d(x, conv.weight[..., 1:2], conv.bias)


def _prepared(series: Tensor, low: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled values (N, C, T), 0 beyond the ends, and a mask of the steps (N, T)."""
    series = series.detach().to("cpu", torch.float32)
    mask = steps_of(series)
    return ((series - low) / span).masked_fill(~mask[:, None], 0), mask


def _centred(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Moves shorter series to the middle, so that fewer crops miss them."""
    if mask.all():
        return values, mask
    steps = mask.shape[1]
    moved = (torch.arange(steps) - ((steps - mask.sum(1)) // 2)[:, None]) % steps
    return values.gather(2, moved[:, None].expand_as(values)), mask.gather(1, moved)


def _batches(count: int, size: int) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(count)[: count // size * size].split(size)


def _loss(network: _Network, values: Tensor, mask: Tensor) -> Tensor:
    """The loss of a batch: two overlapping crops, shifted at random for each series, compared in their overlap."""
    steps = min(values.shape[2], MAX_STEPS)
    first = _between(0, values.shape[2] - steps)
    overlap = _between(2, steps)
    begin = _between(0, steps - overlap)
    earlier, later = _between(0, begin), _between(begin + overlap, steps)
    offsets = first + torch.randint(-earlier, steps - later + 1, (len(values), 1))

    def view(start: int, end: int) -> Tensor:
        at = offsets + torch.arange(start, end)
        return network(values.gather(2, at[:, None].expand(-1, values.shape[1], -1)), mask.gather(1, at))

    return _hierarchical(view(earlier, begin + overlap)[..., -overlap:], view(begin, later)[..., :overlap])


def _between(least: int, most: int) -> int:
    return int(torch.randint(least, most + 1, ()))


# Yue et al. 2022, section 3.3 and algorithm 1
def _hierarchical(first: Tensor, second: Tensor) -> Tensor:
    """The mean over time scales of the temporal and the instance-wise contrast, half each; inputs (B, D, T)."""
    losses: list[Tensor] = []
    while True:
        instances = _contrast(first.permute(2, 0, 1), second.permute(2, 0, 1)) / 2
        if first.shape[2] == 1:
            return torch.stack([*losses, instances]).mean()
        losses.append(instances + _contrast(first.transpose(1, 2), second.transpose(1, 2)) / 2)
        first, second = F.max_pool1d(first, 2), F.max_pool1d(second, 2)


def _contrast(first: Tensor, second: Tensor) -> Tensor:
    """The cross-entropy of finding each vector's other view among the vectors of its group; inputs (groups, K, D)."""
    count = first.shape[1]
    if count == 1:
        return first.new_zeros(())
    vectors = torch.cat([first, second], 1)
    similarity = vectors @ vectors.transpose(1, 2)
    similarity = similarity.masked_fill(torch.eye(2 * count, dtype=torch.bool), -math.inf)
    other = (torch.arange(2 * count) + count) % (2 * count)
    return F.cross_entropy(similarity.flatten(0, 1), other.repeat(len(first)))
