"""The scores of generated time series by TimeGAN (Yoon et al. 2019) and Diffusion-TS (Yuan, Qiao 2024).

Series are (N, C, T) in the data's units, NaN beyond the end of a series shorter than T. Each channel is scaled so that
the real series' range is [0, 1], as for the published numbers. The published sines are an exception: they are scaled as
(sin + 1) / 2, which leaves half of the range empty and halves the errors.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.metrics.frechet import frechet_distance

BATCH = 128
LAGS = 0.5
"""The largest lag of autocorrelations, as a share of the length."""
_TRAINED = 0.8  # the share of the series on which the discriminative GRU trains
_LIMIT = 20_000_000  # numbers in the gates of all GRUs that train in parallel


def steps_of(series: Tensor) -> Tensor:
    """A mask (N, T) of the steps of series (N, C, T) before the first NaN."""
    return series.isnan().any(1).cumsum(1) == 0


def scaling(series: Tensor) -> tuple[Tensor, Tensor]:
    """The minimum and the range of each channel, (C, 1); constant channels have range 1."""
    mask = steps_of(series)[:, None]
    low = series.where(mask, torch.inf).amin((0, 2))
    span = series.where(mask, -torch.inf).amax((0, 2)) - low
    return low[:, None], span.where(span > 0, 1)[:, None]


def discriminative_score(real: Tensor, fake: Tensor, *, seed: int, steps: int = 2000) -> float:
    """|accuracy - 0.5| of a GRU that classifies real and fake series, on a test set of a fifth: 0 (best) to 0.5.

    As in TimeGAN: one layer of C // 2 units (2 for a single channel), a logit from the last state, Adam with lr 1e-3,
    batches of 128 real and 128 fake series, drawn with replacement. The GRU and its initialisation are torch's. The
    accuracy is the mean of the accuracies on real and on fake series.
    """
    return discriminative_scores(real, fake, seeds=[seed], steps=steps)[0]


def predictive_score(real: Tensor, fake: Tensor, *, seed: int, steps: int = 5000) -> float:
    """The mean absolute error on real series of a GRU trained on fake series, relative to the last channel's range.

    As in TimeGAN: the GRU predicts the last channel one step ahead from the other channels (a single channel from
    itself), with a sigmoid output and L1 loss. Size and training are those of `discriminative_score`. Compare the score
    with that of a GRU trained on real series.
    """
    return predictive_scores(real, fake, seeds=[seed], steps=steps)[0]


def discriminative_scores(real: Tensor, fake: Tensor, *, seeds: Sequence[int], steps: int = 2000) -> list[float]:
    """`discriminative_score` for each seed; the GRUs train in parallel, which is several times faster."""
    if min(len(real), len(fake)) < 2:
        raise ValueError("at least two real and two fake series are needed, for training and test")
    values, ends = _comparable(real, fake)
    return _in_groups(_discriminate, values, ends, len(real), seeds, steps)


def predictive_scores(real: Tensor, fake: Tensor, *, seeds: Sequence[int], steps: int = 5000) -> list[float]:
    """`predictive_score` for each seed; the GRUs train in parallel, which is several times faster."""
    values, ends = _comparable(real, fake)
    if ends[: len(real)].max() < 2:
        raise ValueError("series of one step have no next step to predict")
    return _in_groups(_predict, values, ends, len(real), seeds, steps)


def correlational_score(real: Tensor, fake: Tensor) -> float:
    """The absolute difference of the correlation of two channels, summed over all pairs of channels, over 10.

    As in Diffusion-TS, after Ni et al. 2020. A correlation is computed over all steps of all series of a set. The
    correlation of a constant channel counts as 0. A single channel scores 0.
    """
    values, ends = _comparable(real, fake)
    count = len(real)
    difference = _correlations(values[:count], ends[:count]) - _correlations(values[count:], ends[count:])
    return difference.abs().tril(-1).sum().item() / 10


def autocorrelation_score(real: Tensor, fake: Tensor) -> float:
    """The absolute difference of the channels' autocorrelations, the mean over channels and lags. Series with too much
    or too little jitter score high. After the ACF score of Wiese et al. 2020. A constant channel counts as 0."""
    if real.ndim != 3 or real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"{tuple(fake.shape)} are not series like {tuple(real.shape)}")
    low, span = scaling(real)
    real, fake = ((series.detach().cpu().float() - low) / span for series in (real, fake))
    apart = [autocorrelation(real[:, c]) - autocorrelation(fake[:, c]) for c in range(real.shape[1])]
    return torch.stack(apart).abs()[:, 1:].nanmean().nan_to_num(0).item()  # lags beyond the end of every series are NaN


def autocorrelation(series: Tensor) -> Tensor:
    """The mean autocorrelation of series (N, T), NaN beyond their ends, at lags from 0 to `LAGS` of the length."""
    present = ~series.isnan()
    centred = (series - series.nanmean(1, keepdim=True)).nan_to_num(0)
    lags = max(2, round(LAGS * series.shape[1]))
    variance = centred.square().sum(1) / present.sum(1)
    values = []
    for lag in range(lags):
        pairs = (present[:, lag:] & present[:, : series.shape[1] - lag]).sum(1)
        covariance = (centred[:, lag:] * centred[:, : series.shape[1] - lag]).sum(1) / pairs.clamp_min(1)
        values.append((covariance / variance.clamp_min(1e-12))[pairs > 0].mean())
    return torch.stack(values)


def context_frechet(real: Tensor, fake: Tensor, encoder: Callable[[Tensor], Tensor]) -> float:
    """The Fréchet distance of features; with `fit_ts2vec` it is the Context-FID of Jeha et al. 2022.

    It decreases with the number of series: compare only sets of the same size.
    """
    return frechet_distance(encoder(fake), encoder(real))


def _comparable(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The real and then the fake series, scaled, (N, T, C), 0 beyond their ends; and their lengths (N,)."""
    if real.ndim != 3 or real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"{tuple(fake.shape)} are not series like {tuple(real.shape)}")
    real, fake = (series.detach().to("cpu", torch.float32) for series in (real, fake))
    low, span = scaling(real)
    both = torch.cat([real, fake])
    mask = steps_of(both)
    values = ((both - low) / span).transpose(1, 2).masked_fill(~mask[..., None], 0).contiguous()
    if not mask[:, 0].all() or not values.isfinite().all():
        raise ValueError("series hold infinite values, or start with NaN")
    return values, mask.sum(1)


def _correlations(values: Tensor, ends: Tensor) -> Tensor:
    """The correlations (C, C) of the channels of series (N, T, C)."""
    steps = values[torch.arange(values.shape[1]) < ends[:, None]].double()
    unit = F.normalize(steps - steps.mean(0), dim=0, eps=1e-6)  # a smaller norm is rounding error
    return unit.T @ unit


def _in_groups(
    score: Callable[..., list[float]], values: Tensor, ends: Tensor, count: int, seeds: Sequence[int], steps: int
) -> list[float]:
    """The scores for all seeds, with as many GRUs in parallel as fit into memory."""
    channels = values.shape[2]
    hidden = channels // 2 or 2
    size = max(1, _LIMIT // (values.shape[1] * 3 * hidden * 2 * BATCH))
    scores = []
    for start in range(0, len(seeds), size):
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[start : start + size]]
        with torch.enable_grad():
            scores += score(values, ends, count, generators, hidden, steps)
    return scores


def _discriminate(
    values: Tensor, ends: Tensor, count: int, generators: list[torch.Generator], hidden: int, steps: int
) -> list[float]:
    """|accuracy - 0.5| of each GRU that classifies the first `count` series and the other series."""
    parts = [(0, count), (count, len(values))]
    orders = [[a + torch.randperm(b - a, generator=generator) for generator in generators] for a, b in parts]
    trained = [int(_TRAINED * (b - a)) for a, b in parts]
    draws = [_draw(torch.stack(order)[:, :n], steps, generators) for order, n in zip(orders, trained, strict=True)]
    model = _GRUs(generators, values.shape[2], hidden)

    def logits(chosen: Tensor) -> Tensor:
        return model(values[chosen]).gather(2, ends[chosen][..., None] - 1)[..., 0]

    for real, fake in zip(*draws, strict=True):
        on_real, on_fake = logits(torch.cat([real, fake], 1)).split(BATCH, 1)
        model.learn((F.softplus(-on_real) + F.softplus(on_fake)).mean(1))
    with torch.no_grad():
        tested = [torch.stack(order)[:, n:] for order, n in zip(orders, trained, strict=True)]
        on_real, on_fake = (torch.cat([logits(part) for part in test.split(2 * BATCH, 1)], 1) for test in tested)
    right = ((on_real > 0).double().mean(1) + (on_fake <= 0).double().mean(1)) / 2
    return (right - 0.5).abs().tolist()


def _predict(
    values: Tensor, ends: Tensor, count: int, generators: list[torch.Generator], hidden: int, steps: int
) -> list[float]:
    """The error of each GRU on the first `count` series, after training on the other series."""
    known = values[:, :-1, : max(1, values.shape[2] - 1)]
    wanted = values[:, 1:, -1]
    counted = torch.arange(1, values.shape[1]) < ends[:, None]
    model = _GRUs(generators, known.shape[2], hidden)

    def errors(chosen: Tensor) -> tuple[Tensor, Tensor]:
        """The sum of the errors over a series' steps and the number of these steps, for each GRU and series."""
        mask = counted[chosen]
        return ((model(known[chosen]).sigmoid() - wanted[chosen]).abs() * mask).sum(2), mask.sum(2)

    for chosen in _draw(torch.arange(count, len(values)).expand(len(generators), -1), steps, generators):
        error, number = errors(chosen)
        model.learn(error.sum(1) / number.sum(1).clamp_min(1))
    with torch.no_grad():
        # As in TimeGAN: the mean over series of the mean over steps.
        real = (ends[:count] > 1).nonzero().flatten().expand(len(generators), -1)
        parts = [errors(part) for part in real.split(2 * BATCH, 1)]
    return torch.cat([error / number for error, number in parts], 1).double().mean(1).tolist()


def _draw(pool: Tensor, steps: int, generators: list[torch.Generator]) -> Tensor:
    """Draws a batch for each step from each row of `pool` (R, N) with that row's generator: (steps, R, BATCH)."""
    size = (steps, BATCH)
    drawn = [row[torch.randint(len(row), size, generator=g)] for row, g in zip(pool, generators, strict=True)]
    return torch.stack(drawn, 1)


class _GRUs:
    """R GRUs, one for each generator, each with a linear output layer, trained independently by Adam."""

    def __init__(self, generators: list[torch.Generator], inputs: int, hidden: int) -> None:
        shapes = [(3 * hidden, inputs), (3 * hidden, hidden), (3 * hidden, 1), (3 * hidden, 1), (1, hidden), (1, 1)]
        drawn = [[torch.rand(shape, generator=generator) for shape in shapes] for generator in generators]
        bound = hidden**-0.5
        self.weights = [((2 * torch.stack(w) - 1) * bound).requires_grad_() for w in zip(*drawn, strict=True)]
        self.optimizer = torch.optim.Adam(self.weights, lr=1e-3, fused=True)

    def __call__(self, series: Tensor) -> Tensor:
        """Series (R, B, T, C) to a logit for each step (R, B, T)."""
        *gru, weight, bias = self.weights
        states = _GRU.apply(series.permute(2, 0, 3, 1).contiguous(), *gru)
        return (weight @ states + bias)[:, :, 0].permute(1, 2, 0)

    def learn(self, losses: Tensor) -> None:
        """One step of each GRU on its own loss (R,)."""
        self.optimizer.zero_grad()
        losses.sum().backward()
        self.optimizer.step()


class _GRU(torch.autograd.Function):
    """The states (T, R, H, B) of R GRUs on batches (T, R, C, B), with the formulas and the order of gates of nn.GRU.

    It is faster than nn.GRU, for which autograd records a dozen small operations for each step and GRU.
    """

    @staticmethod
    def forward(
        ctx: Any, inputs: Tensor, input_weight: Tensor, state_weight: Tensor, input_bias: Tensor, state_bias: Tensor
    ) -> Tensor:
        hidden = state_weight.shape[2]
        gates = input_weight @ inputs + input_bias  # (T, R, 3H, B)
        steps, models, _, batch = gates.shape
        states = gates.new_zeros(steps + 1, models, hidden, batch)
        recalled = torch.empty_like(gates)
        opened, new = gates.split([2 * hidden, hidden], 2)
        reset, keep = opened.chunk(2, 2)
        parts = (states[:-1], states[1:], recalled, *recalled.split([2 * hidden, hidden], 2), opened, new, reset, keep)
        for last, state, recall, to_opened, to_new, gate, candidate, r, z in zip(
            *map(torch.unbind, parts), strict=True
        ):
            torch.baddbmm(state_bias, state_weight, last, out=recall)
            gate.add_(to_opened).sigmoid_()
            candidate.addcmul_(r, to_new).tanh_()
            torch.lerp(candidate, last, z, out=state)
        ctx.kept = inputs, state_weight, gates, states, recalled[:, :, 2 * hidden :]
        return states[1:]

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        inputs, state_weight, gates, states, recalled = ctx.kept
        reset, keep, new = gates.chunk(3, 2)
        last = states[:-1]
        to_new = (1 - keep) * (1 - new * new)
        to_reset = to_new * recalled * reset * (1 - reset)
        gradients = torch.stack([to_reset, (last - new) * keep * (1 - keep), to_new * reset], 2)  # (T, R, 3, H, B)
        transposed = state_weight.transpose(1, 2)
        at_state = torch.empty_like(gradients)
        totals = torch.empty_like(new)
        later = torch.zeros_like(new[0])
        flat = at_state.flatten(2, 3)
        views = [view.unbind()[::-1] for view in (grads[0], totals, gradients, at_state, flat, keep)]
        for grad, total, gradient, product, gate, kept in zip(*views, strict=True):
            torch.add(grad, later, out=total)
            torch.mul(gradient, total[:, None], out=product)
            later = torch.baddbmm(total * kept, transposed, gate)
        at_input = torch.cat([flat[:, :, : -new.shape[2]], to_new * totals], 2)
        return (
            None,
            (at_input @ inputs.transpose(2, 3)).sum(0),
            (flat @ last.transpose(2, 3)).sum(0),
            at_input.sum((0, 3))[..., None],
            flat.sum((0, 3))[..., None],
        )
