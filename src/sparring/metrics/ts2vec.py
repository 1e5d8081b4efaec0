"""TS2Vec (Yue et al. 2022): features of series that are learnt from the series themselves, without labels.

Series are (N, C, T), NaN from their ends on. The network, its loss and its training are the paper's.
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
"""Longer series are learnt from in windows of so many steps, drawn anew each time; the paper's code takes 3,000."""

_HIDDEN = 64
_BLOCKS = 10
_BATCH = 8
_AT_ONCE = 50_000  # steps that are encoded at once


class Encoder:
    """Series (N, C, T) in the units of those it was fitted to -> features (N, 320), on the CPU.

    A feature is the greatest value over a series' steps of one output of the network.
    """

    def __init__(self, network: nn.Module, low: Tensor, span: Tensor) -> None:
        self.network, self.low, self.span = network, low, span

    @torch.no_grad()
    def __call__(self, series: Tensor) -> Tensor:
        size = max(1, _AT_ONCE // series.shape[2])
        return torch.cat([self._encode(part) for part in series.split(size)])

    def _encode(self, series: Tensor) -> Tensor:
        values, there = _prepared(series, self.low, self.span)
        return self.network(values, there).masked_fill(~there[:, None], -torch.inf).amax(2)


def fit_ts2vec(real: Tensor, *, seed: int = 0, iterations: int | None = None) -> Encoder:
    """An encoder fitted to series (N, C, T), the same for the same seed; torch's random state is left as it was.

    Of the two crops of a batch of 8 series, the same steps are to be alike, and unlike the other steps of their series
    and the same step of the others. There are 200 iterations for up to 100,000 numbers and 600 for more, as in the
    paper's code, which also gives the mean over all iterations of the weights.
    """
    real = real.detach().to("cpu", torch.float32)
    if real.shape[2] < 2:
        raise ValueError("series of one step have no features: there must be at least two")
    low, span = scaling(real)
    values, there = _centred(*_prepared(real, low, span))
    if iterations is None:
        iterations = 200 if real.numel() <= 100_000 else 600
    # Not torch.manual_seed, which would seed accelerators too.
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
            _loss(network, values[chosen], there[chosen]).backward()
            optimizer.step()
            average.update_parameters(network)
    return Encoder(average.module.eval().requires_grad_(False), low, span)


class _Network(nn.Module):
    """Values (B, C, T) and which of their steps are there (B, T) -> (B, 320, T)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.project = nn.Conv1d(channels, _HIDDEN, 1)
        blocks = [_Block(_HIDDEN, _HIDDEN, 2**index) for index in range(_BLOCKS)]
        self.blocks = nn.Sequential(*blocks, _Block(_HIDDEN, FEATURES, 2**_BLOCKS))
        self.dropout = nn.Dropout(0.1)

    def forward(self, values: Tensor, there: Tensor) -> Tensor:
        if self.training:
            there = there & (torch.rand(there.shape) < 0.5)
        return self.dropout(self.blocks(self.project(values) * there[:, None]))


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
    # The outer weights only meet padding.
    return F.conv1d(x, conv.weight[..., 1:2], conv.bias)


def _prepared(series: Tensor, low: Tensor, span: Tensor) -> tuple[Tensor, Tensor]:
    """Scaled values (N, C, T), 0 beyond the ends, and which steps are there (N, T)."""
    series = series.detach().to("cpu", torch.float32)
    there = steps_of(series)
    return ((series - low) / span).masked_fill(~there[:, None], 0), there


def _centred(values: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Shorter series in the middle, so that fewer crops miss them."""
    if there.all():
        return values, there
    steps = there.shape[1]
    moved = (torch.arange(steps) - ((steps - there.sum(1)) // 2)[:, None]) % steps
    return values.gather(2, moved[:, None].expand_as(values)), there.gather(1, moved)


def _batches(count: int, size: int) -> Iterator[Tensor]:
    while True:
        yield from torch.randperm(count)[: count // size * size].split(size)


def _loss(network: _Network, values: Tensor, there: Tensor) -> Tensor:
    """Of one batch: two crops that overlap, each series' a little elsewhere, compared where they overlap."""
    steps = min(values.shape[2], MAX_STEPS)
    first = _between(0, values.shape[2] - steps)
    overlap = _between(2, steps)
    begin = _between(0, steps - overlap)
    earlier, later = _between(0, begin), _between(begin + overlap, steps)
    offsets = first + torch.randint(-earlier, steps - later + 1, (len(values), 1))

    def view(start: int, end: int) -> Tensor:
        at = offsets + torch.arange(start, end)
        return network(values.gather(2, at[:, None].expand(-1, values.shape[1], -1)), there.gather(1, at))

    return _hierarchical(view(earlier, begin + overlap)[..., -overlap:], view(begin, later)[..., :overlap])


def _between(least: int, most: int) -> int:
    return int(torch.randint(least, most + 1, ()))


# Yue et al. 2022, section 3.3 and algorithm 1
def _hierarchical(first: Tensor, second: Tensor) -> Tensor:
    """The mean over the time scales of half the temporal and half the instance-wise contrast; (B, D, T) each."""
    losses: list[Tensor] = []
    while True:
        instances = _contrast(first.permute(2, 0, 1), second.permute(2, 0, 1)) / 2
        if first.shape[2] == 1:
            return torch.stack([*losses, instances]).mean()
        losses.append(instances + _contrast(first.transpose(1, 2), second.transpose(1, 2)) / 2)
        first, second = F.max_pool1d(first, 2), F.max_pool1d(second, 2)


def _contrast(first: Tensor, second: Tensor) -> Tensor:
    """How hard it is to find each one's other view among all of its group's vectors; (groups, K, D) each."""
    count = first.shape[1]
    if count == 1:
        return first.new_zeros(())
    vectors = torch.cat([first, second], 1)
    likeness = vectors @ vectors.transpose(1, 2)
    likeness = likeness.masked_fill(torch.eye(2 * count, dtype=torch.bool), -math.inf)
    other = (torch.arange(2 * count) + count) % (2 * count)
    return F.cross_entropy(likeness.flatten(0, 1), other.repeat(len(first)))
