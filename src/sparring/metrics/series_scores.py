"""How like real series generated ones are: the scores of TimeGAN (Yoon et al. 2019) and Diffusion-TS (Yuan, Qiao 2024).

Series are (N, C, T) in their own units; one that is shorter than T is NaN from its end on. All are scaled by the real
ones' least and greatest value of each channel to [0, 1], the units of the published numbers. Sines are an exception:
they are published as they are, (sin + 1) / 2, which leaves half of the range empty and makes errors half as large.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from sparring.metrics.frechet import frechet_distance

BATCH = 128
LAGS = 0.5
"""Of the length: how far autocorrelations are looked at."""
_TRAINED = 0.8  # the share of the series that the discriminative GRU sees
_LIMIT = 20_000_000  # numbers in the gates of the GRUs that are trained side by side


def steps_of(series: Tensor) -> Tensor:
    """Which steps of series (N, C, T) come before the first NaN: (N, T)."""
    return series.isnan().any(1).cumsum(1) == 0


def scaling(series: Tensor) -> tuple[Tensor, Tensor]:
    """The least value of each channel and the range of its values, both (C, 1); constant channels have range 1."""
    there = steps_of(series)[:, None]
    low = series.where(there, torch.inf).amin((0, 2))
    span = series.where(there, -torch.inf).amax((0, 2)) - low
    return low[:, None], span.where(span > 0, 1)[:, None]


def discriminative_score(real: Tensor, fake: Tensor, *, seed: int, steps: int = 2000) -> float:
    """How well a GRU tells real from fake: |accuracy - 0.5| on the fifth it was not trained on, 0 (not) to 0.5.

    TimeGAN's: one layer of C // 2 units (2 for a single channel), a logit from the last state, Adam with 1e-3, 128 real
    and as many fake series a step. They are drawn with replacement, and the GRU is torch's, with its initialisation.
    Where there are not as many fakes as reals, the accuracy is the mean of that on reals and that on fakes.
    """
    return discriminative_scores(real, fake, seeds=[seed], steps=steps)[0]


def predictive_score(real: Tensor, fake: Tensor, *, seed: int, steps: int = 5000) -> float:
    """The mean absolute error on real series of a GRU trained on the fakes, in shares of the last channel's range.

    TimeGAN's: it predicts the last channel one step ahead from the other channels (a single one from itself), with a
    sigmoid at its end and L1 loss. Its size and training are those of `discriminative_score`. Compare it with the
    score of the reals in place of the fakes.
    """
    return predictive_scores(real, fake, seeds=[seed], steps=steps)[0]


def discriminative_scores(real: Tensor, fake: Tensor, *, seeds: Sequence[int], steps: int = 2000) -> list[float]:
    """`discriminative_score` for each of the seeds, all trained side by side, which is several times faster."""
    if min(len(real), len(fake)) < 2:
        raise ValueError("at least two real and two fake series are needed, to train on one and test on the other")
    values, ends = _comparable(real, fake)
    return _in_groups(_discriminate, values, ends, len(real), seeds, steps)


def predictive_scores(real: Tensor, fake: Tensor, *, seeds: Sequence[int], steps: int = 5000) -> list[float]:
    """`predictive_score` for each of the seeds, all trained side by side, which is several times faster."""
    values, ends = _comparable(real, fake)
    if ends[: len(real)].max() < 2:
        raise ValueError("series of one step leave nothing to predict")
    return _in_groups(_predict, values, ends, len(real), seeds, steps)


def correlational_score(real: Tensor, fake: Tensor) -> float:
    """The differences between the correlations of any two channels, summed over the pairs and divided by 10.

    That of Diffusion-TS, after Ni et al. 2020. A correlation is one number for a whole set: it is taken over all steps
    of all its series at once. A constant channel has none, which counts as 0. A single channel scores 0.
    """
    values, ends = _comparable(real, fake)
    count = len(real)
    difference = _correlations(values[:count], ends[:count]) - _correlations(values[count:], ends[count:])
    return difference.abs().tril(-1).sum().item() / 10


def autocorrelation_score(real: Tensor, fake: Tensor) -> float:
    """How far the channels' autocorrelations are from the real ones', the mean over channels and lags: series that
    tremble, or that are too smooth, score high. After the ACF score of Wiese et al. 2020. A constant channel counts as
    0."""
    if real.ndim != 3 or real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"{tuple(fake.shape)} are not series like {tuple(real.shape)}")
    low, span = scaling(real)
    real, fake = ((series.detach().cpu().float() - low) / span for series in (real, fake))
    apart = [autocorrelation(real[:, c]) - autocorrelation(fake[:, c]) for c in range(real.shape[1])]
    return torch.stack(apart).abs()[:, 1:].nanmean().nan_to_num(0).item()  # no lag reaches beyond all series' ends


def autocorrelation(series: Tensor) -> Tensor:
    """Mean autocorrelation of series (N, T), NaN beyond their ends, at lags 0 to half the length."""
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
    """The Fréchet distance of features; with those of `fit_ts2vec` it is the Context-FID of Jeha et al. 2022.

    It shrinks as there are more series: compare it between sets of the same size only.
    """
    return frechet_distance(encoder(fake), encoder(real))


def _comparable(real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
    """The real and then the fake series, scaled, step by step and 0 beyond their ends (N, T, C), and their lengths."""
    if real.ndim != 3 or real.shape[1:] != fake.shape[1:]:
        raise ValueError(f"{tuple(fake.shape)} are not series like {tuple(real.shape)}")
    real, fake = (series.detach().to("cpu", torch.float32) for series in (real, fake))
    low, span = scaling(real)
    both = torch.cat([real, fake])
    there = steps_of(both)
    values = ((both - low) / span).transpose(1, 2).masked_fill(~there[..., None], 0).contiguous()
    if not there[:, 0].all() or not values.isfinite().all():
        raise ValueError("series hold infinite values, or start with NaN")
    return values, there.sum(1)


def _correlations(values: Tensor, ends: Tensor) -> Tensor:
    """Between the channels of series (N, T, C): (C, C)."""
    steps = values[torch.arange(values.shape[1]) < ends[:, None]].double()
    unit = F.normalize(steps - steps.mean(0), dim=0, eps=1e-6)  # what varies less is rounding
    return unit.T @ unit


def _in_groups(
    score: Callable[..., list[float]], values: Tensor, ends: Tensor, count: int, seeds: Sequence[int], steps: int
) -> list[float]:
    """The scores of all seeds, by as many GRUs at once as fit into memory."""
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
    """Of the first `count` of the series from the others."""
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
    """The first `count` of the series, after training on the others."""
    known = values[:, :-1, : max(1, values.shape[2] - 1)]
    wanted = values[:, 1:, -1]
    counted = torch.arange(1, values.shape[1]) < ends[:, None]
    model = _GRUs(generators, known.shape[2], hidden)

    def errors(chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Summed over what is counted, and how many that is; of each GRU and series."""
        there = counted[chosen]
        return ((model(known[chosen]).sigmoid() - wanted[chosen]).abs() * there).sum(2), there.sum(2)

    for chosen in _draw(torch.arange(count, len(values)).expand(len(generators), -1), steps, generators):
        error, number = errors(chosen)
        model.learn(error.sum(1) / number.sum(1).clamp_min(1))
    with torch.no_grad():
        # As TimeGAN's: the mean over the series of the mean over their steps.
        real = (ends[:count] > 1).nonzero().flatten().expand(len(generators), -1)
        parts = [errors(part) for part in real.split(2 * BATCH, 1)]
    return torch.cat([error / number for error, number in parts], 1).double().mean(1).tolist()


def _draw(pool: Tensor, steps: int, generators: list[torch.Generator]) -> Tensor:
    """For every step a batch out of each row of `pool` (R, N), drawn by that row's generator: (steps, R, BATCH)."""
    size = (steps, BATCH)
    drawn = [row[torch.randint(len(row), size, generator=g)] for row, g in zip(pool, generators, strict=True)]
    return torch.stack(drawn, 1)


class _GRUs:
    """As many GRUs as there are generators (R), each with a linear read-out and an Adam of its own."""

    def __init__(self, generators: list[torch.Generator], inputs: int, hidden: int) -> None:
        shapes = [(3 * hidden, inputs), (3 * hidden, hidden), (3 * hidden, 1), (3 * hidden, 1), (1, hidden), (1, 1)]
        drawn = [[torch.rand(shape, generator=generator) for shape in shapes] for generator in generators]
        bound = hidden**-0.5
        self.weights = [((2 * torch.stack(w) - 1) * bound).requires_grad_() for w in zip(*drawn, strict=True)]
        self.optimizer = torch.optim.Adam(self.weights, lr=1e-3, fused=True)

    def __call__(self, series: Tensor) -> Tensor:
        """A logit for every step of series (R, B, T, C): (R, B, T)."""
        *gru, weight, bias = self.weights
        states = _GRU.apply(series.permute(2, 0, 3, 1).contiguous(), *gru)
        return (weight @ states + bias)[:, :, 0].permute(1, 2, 0)

    def learn(self, losses: Tensor) -> None:
        """One step of each GRU on its own loss (R,)."""
        self.optimizer.zero_grad()
        losses.sum().backward()
        self.optimizer.step()


class _GRU(torch.autograd.Function):
    """The states (T, R, H, B) of R GRUs on batches (T, R, C, B), by nn.GRU's formulas and with its order of the gates.

    nn.GRU would spend its time in the dozen small operations that autograd records for each step and GRU.
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
        slopes = torch.stack([to_reset, (last - new) * keep * (1 - keep), to_new * reset], 2)  # (T, R, 3, H, B)
        back = state_weight.transpose(1, 2)
        at_state = torch.empty_like(slopes)
        totals = torch.empty_like(new)
        later = torch.zeros_like(new[0])
        flat = at_state.flatten(2, 3)
        views = [view.unbind()[::-1] for view in (grads[0], totals, slopes, at_state, flat, keep)]
        for grad, total, slope, product, gate, kept in zip(*views, strict=True):
            torch.add(grad, later, out=total)
            torch.mul(slope, total[:, None], out=product)
            later = torch.baddbmm(total * kept, back, gate)
        at_input = torch.cat([flat[:, :, : -new.shape[2]], to_new * totals], 2)
        return (
            None,
            (at_input @ inputs.transpose(2, 3)).sum(0),
            (flat @ last.transpose(2, 3)).sum(0),
            at_input.sum((0, 3))[..., None],
            flat.sum((0, 3))[..., None],
        )
