"""Stem and head against convolutions written with loops over places."""

import itertools
import math

import pytest
import torch

from sparring.models.stem import NEGATIVE_SLOPE, Head, Stem, blur, coarse_grid


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def places(sizes):
    return itertools.product(*map(range, sizes))


def convolved(volume, layer, stride):
    """Cross-correlation of {place: (C,)} with padding 1, as {place: (C',)} and the new sizes."""
    sizes, kernel = volume["sizes"], layer.weight.shape[2:]
    new_sizes = [(size + 2 - k) // stride + 1 for size, k in zip(sizes, kernel, strict=True)]
    result = {"sizes": new_sizes}
    for place in places(new_sizes):
        value = layer.bias.clone()
        for tap in places(kernel):
            source = tuple(p * stride + t - 1 for p, t in zip(place, tap, strict=True))
            if source in volume:
                value = value + layer.weight[(..., *tap)] @ volume[source]
        result[place] = value
    return result


def leaky(volume):
    return {
        key: value if key == "sizes" else torch.where(value > 0, value, NEGATIVE_SLOPE * value)
        for key, value in volume.items()
    }


def blurred(volume):
    """Every place the mean of itself, counted twice, and its neighbours, those beyond an edge being the edge."""
    sizes = volume["sizes"]

    def at(place):
        return volume[tuple(min(max(p, 0), size - 1) for p, size in zip(place, sizes, strict=True))]

    result = {"sizes": sizes}
    for place in places(sizes):
        around = list(itertools.product(*((p - 1, p, p, p + 1) for p in place)))
        result[place] = sum(map(at, around)) / len(around)
    return result


def as_volume(tokens, grid):
    """(N, C) -> {place: (C,)} without the axes of length 1."""
    sizes = [size for size in grid if size > 1]
    return {"sizes": sizes} | dict(zip(places(sizes), tokens, strict=True))


def as_tokens(volume):
    return torch.stack([volume[place] for place in places(volume["sizes"])])


GRIDS = [((1, 4, 4), 1), ((1, 4, 8), 2), ((6, 1, 1), 1), ((1, 1, 8), 3), ((2, 1, 4), 1), ((2, 4, 2), 1)]
every_grid = pytest.mark.parametrize(("grid", "levels"), GRIDS)


@every_grid
def test_coarse_grid_halves_the_longer_axes(grid, levels):
    assert coarse_grid(grid, levels) == tuple(1 if size == 1 else size // 2**levels for size in grid)
    assert coarse_grid(grid, 0) == grid


@pytest.mark.parametrize(
    ("grid", "levels"), [((1, 6, 6), 2), ((1, 4, 6), 2), ((3, 2, 2), 1), ((1, 7, 1), 1), ((1, 4, 4), 3), ((1, 1, 1), 1)]
)
def test_coarse_grid_says_what_to_change(grid, levels):
    shown = "×".join(map(str, grid))
    with pytest.raises(
        ValueError, match=rf"--model\.stem {levels} halves the token grid {shown}.*smaller --model\.stem"
    ):
        coarse_grid(grid, levels)


@every_grid
@pytest.mark.parametrize("frames", [1, 3])
def test_stem_is_its_convolutions_of_each_frame(grid, levels, frames):
    stem = Stem(grid, 3, 5, levels=levels, channels=2, frames=frames).double()
    tokens = random(2, frames * math.prod(grid), 3)
    with torch.no_grad():
        result = stem(tokens)
        assert result.shape == (2, math.prod(coarse_grid(grid, levels)), 5)
        for sample, expected in zip(tokens, result, strict=True):
            shown = []
            for frame in sample.chunk(frames):
                volume = as_volume(frame, grid)
                for layer in stem.convolutions:
                    volume = leaky(convolved(volume, layer, 2))
                shown.append(as_tokens(volume))
            torch.testing.assert_close(expected, stem.project(torch.cat(shown, -1)))


def doubled(volume, layer):
    """Every place spread over its part of a volume of twice the size, blurred and smoothed."""
    weight = layer.spread.weight.flatten(1)  # (channels * 2^n, C)
    result = {"sizes": [2 * size for size in volume["sizes"]]}
    for place in places(result["sizes"]):
        part = 0
        for p in place:
            part = 2 * part + p % 2
        all_parts = weight @ volume[tuple(p // 2 for p in place)] + layer.spread.bias
        result[place] = all_parts.view(-1, 2 ** len(place))[:, part]
    return leaky(convolved(leaky(blurred(result)), layer.smooth, 1))


@every_grid
def test_head_doubles_each_axis_level_by_level(grid, levels):
    head = Head(grid, 5, 3, levels=levels, channels=3).double()
    coarse = coarse_grid(grid, levels)
    tokens = random(2, math.prod(coarse), 5)
    with torch.no_grad():
        result = head(tokens)
        assert result.shape == (2, math.prod(grid), 3)
        for sample, expected in zip(tokens, result, strict=True):
            sizes = [size // 2**levels for size in grid if size > 1]
            volume = {"sizes": sizes} | dict(zip(places(sizes), sample, strict=True))
            assert [layer.smooth.out_channels for layer in head.doublings] == [3 * 2**n for n in range(levels)][::-1]
            for layer in head.doublings:
                volume = doubled(volume, layer)
            torch.testing.assert_close(expected, as_tokens(convolved(volume, head.to_token, 1)))


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_the_head_lets_tokens_through_from_the_start(levels):
    torch.manual_seed(0)
    grid, tokens = (1, 32, 32), torch.randn(8, (32 // 2**levels) ** 2, 64)
    made = Head(grid, 64, 3, levels=levels, channels=16)(tokens)
    assert 0.05 < made.std(0).mean() < 1  # each sample differs from the next


@pytest.mark.parametrize("shape", [(2, 3, 7), (2, 3, 4, 5), (1, 2, 2, 3, 4)])
def test_blur_keeps_flat_things_and_takes_away_what_alternates(shape):
    flat = random(*shape[:2]).view(*shape[:2], *[1] * (len(shape) - 2)).expand(shape)
    torch.testing.assert_close(blur(flat), flat)
    signs = torch.tensor([1.0, -1.0])[torch.arange(shape[-1]) % 2].double()
    alternating = blur(random(*shape[:-1], 1) * signs)
    assert alternating[..., 1:-1].abs().max() < 1e-15


def test_a_token_of_many_numbers_is_written_without_its_neighbours():
    assert Head((1, 4, 4), 5, 8, levels=1, channels=2).to_token.kernel_size == (1, 1)
    assert Head((1, 4, 4), 5, 2, levels=1, channels=2).to_token.kernel_size == (3, 3)


@every_grid
def test_all_weights_learn(grid, levels):
    tokens = random(2, math.prod(grid), 3).requires_grad_()
    stem, head = Stem(grid, 3, 5, levels=levels, channels=4), Head(grid, 5, 3, levels=levels, channels=4)
    out = head.double()(stem.double()(tokens))
    (out * random(*out.shape, seed=1)).sum().backward()
    assert (tokens.grad != 0).any(-1).all()
    for name, parameter in [*stem.named_parameters(), *head.named_parameters()]:
        assert parameter.grad.abs().sum() > 0, name
