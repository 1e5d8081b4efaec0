"""Positions against the papers' formulas, one number at a time."""

import itertools
import math

import pytest
import torch

from sparring.models.positions import Positions, grid_coordinates, rotary_angles, rotate, sinusoidal_positions

GRIDS = [(1, 1, 1), (1, 1, 5), (5, 1, 1), (1, 3, 4), (3, 1, 2), (2, 3, 4)]
every_grid = pytest.mark.parametrize("grid", GRIDS)


def places(grid):
    return list(itertools.product(*map(range, grid)))


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@every_grid
def test_coordinates_run_along_the_last_axis_first(grid):
    assert [tuple(place) for place in grid_coordinates(grid).tolist()] == places(grid)


# Vaswani et al. 2017, section 3.5
@pytest.mark.parametrize("grid", [(7, 1, 1), (1, 7, 1), (1, 1, 7)])
@pytest.mark.parametrize("width", [2, 8, 12])
def test_sinusoidal_formula_on_one_axis(grid, width):
    encoding = sinusoidal_positions(grid, width)
    assert encoding.shape == (7, width)
    for pos in range(7):
        for i in range(width // 2):
            angle = pos / 10_000 ** (2 * i / width)
            assert encoding[pos, 2 * i] == pytest.approx(math.sin(angle), abs=1e-5)
            assert encoding[pos, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-5)


@pytest.mark.parametrize(("grid", "width"), [((1, 3, 4), 16), ((3, 1, 2), 11), ((2, 3, 4), 12), ((2, 3, 4), 17)])
def test_each_axis_has_an_equal_even_share_of_its_own(grid, width):
    encoding, axes = sinusoidal_positions(grid, width), [axis for axis in range(3) if grid[axis] > 1]
    share = width // len(axes) - width // len(axes) % 2
    for token, place in enumerate(places(grid)):
        for number, axis in enumerate(axes):
            alone = sinusoidal_positions((1, 1, grid[axis]), share)[place[axis]]
            torch.testing.assert_close(encoding[token, number * share : (number + 1) * share], alone)
    assert (encoding[:, len(axes) * share :] == 0).all()


@pytest.mark.parametrize("width", [7, 9, 13])
def test_an_odd_width_leaves_a_channel_over(width):
    encoding = sinusoidal_positions((1, 1, 6), width)
    assert encoding.shape == (6, width)
    torch.testing.assert_close(encoding[:, :-1], sinusoidal_positions((1, 1, 6), width - 1))
    assert (encoding[:, -1] == 0).all()


@every_grid
def test_no_two_places_are_encoded_alike(grid):
    encoding = sinusoidal_positions(grid, 12)
    distances = torch.cdist(encoding, encoding) + 10 * torch.eye(len(encoding))
    assert distances.min() > 0.1


# Su et al. 2021, eq. 15
@every_grid
def test_rotary_angles_formula(grid):
    head_width = 12
    cos, sin = rotary_angles(grid, head_width)
    axes = [axis for axis in range(3) if grid[axis] > 1]
    pairs = head_width // 2 // max(1, len(axes))
    for token, place in enumerate(places(grid)):
        angles = [place[axis] * 100 ** (-i / pairs) for axis in axes for i in range(pairs)]
        angles += [0.0] * (head_width // 2 - len(angles))
        assert cos[token].tolist() == pytest.approx([math.cos(angle) for angle in angles], abs=1e-6)
        assert sin[token].tolist() == pytest.approx([math.sin(angle) for angle in angles], abs=1e-6)


@pytest.mark.parametrize("head_width", [8, 10, 12, 14])
def test_pairs_that_no_axis_has_are_not_rotated(head_width):
    cos, sin = rotary_angles((2, 3, 4), head_width)
    assert cos.shape == sin.shape == (24, head_width // 2)
    used = head_width // 6 * 3
    assert (cos[:, used:] == 1).all()
    assert (sin[:, used:] == 0).all()
    assert (sin[-1, :used] != 0).all()


@every_grid
def test_rotation_keeps_norms(grid):
    x = random(2, 3, math.prod(grid), 12)
    torch.testing.assert_close(rotate(x, rotary_angles(grid, 12).double()).norm(dim=-1), x.norm(dim=-1))


def test_rotation_turns_pairs_half_a_head_apart():
    x = torch.arange(1.0, 5.0).view(1, 1, 1, 4)
    angles = torch.tensor([math.pi / 2, math.pi])
    rotated = rotate(x, torch.stack([angles.cos(), angles.sin()])[:, None])
    torch.testing.assert_close(rotated, torch.tensor([-3.0, -2.0, 1.0, -4.0]).view(1, 1, 1, 4))


@pytest.mark.parametrize("grid", [(1, 1, 6), (1, 3, 4), (3, 2, 4)])
def test_dot_products_know_the_offset_and_nothing_else(grid):
    # one query and one key, the same at every place
    query, key = random(12, seed=1), random(12, seed=2)
    rotary = rotary_angles(grid, 12).double()
    turned = [rotate(x.expand(1, 1, math.prod(grid), 12), rotary)[0, 0] for x in (query, key)]
    scores, by_offset = turned[0] @ turned[1].T, {}
    for (n, a), (m, b) in itertools.product(enumerate(places(grid)), repeat=2):
        offset = tuple(p - q for p, q in zip(a, b, strict=True))
        by_offset.setdefault(offset, []).append(float(scores[n, m]))
    for values in by_offset.values():
        assert values == pytest.approx([values[0]] * len(values), abs=1e-5)
    firsts = sorted(values[0] for values in by_offset.values())
    assert min(b - a for a, b in itertools.pairwise(firsts)) > 1e-4  # offsets differ from each other
    at_home = float(query @ key)
    assert by_offset[0, 0, 0][0] == pytest.approx(at_home)


def test_each_axis_turns_its_own_pairs():
    rotary = rotary_angles((3, 4, 5), 12)
    angles = torch.atan2(rotary[1], rotary[0]).view(3, 4, 5, 6)
    for axis in range(3):
        for other in {0, 1, 2} - {axis}:
            first = angles.select(other, 0)[..., 2 * axis : 2 * axis + 2]
            last = angles.select(other, -1)[..., 2 * axis : 2 * axis + 2]
            torch.testing.assert_close(first, last)
        moved = angles.select(axis, 0) - angles.select(axis, 1)
        assert (moved[..., 2 * axis : 2 * axis + 2] != 0).all()


@pytest.mark.parametrize("extra", [1, 2])
def test_tokens_in_front_are_not_rotated(extra):
    x, rotary = random(2, 3, extra + 6, 12), rotary_angles((1, 2, 3), 12).double()
    rotated = rotate(x, rotary)
    assert torch.equal(rotated[:, :, :extra], x[:, :, :extra])
    assert torch.equal(rotated[:, :, extra:], rotate(x[:, :, extra:], rotary))


def test_axes_of_length_one_do_not_count():
    assert torch.equal(rotary_angles((4, 1, 1), 8), rotary_angles((1, 1, 4), 8))
    assert torch.equal(rotary_angles((2, 1, 3), 8), rotary_angles((1, 2, 3), 8))
    assert torch.equal(sinusoidal_positions((2, 1, 3), 8), sinusoidal_positions((1, 2, 3), 8))
    x = random(1, 1, 1, 8)
    assert torch.equal(rotate(x, rotary_angles((1, 1, 1), 8).double()), x)
    assert (sinusoidal_positions((1, 1, 1), 8) == 0).all()


def test_rotation_keeps_the_inputs_type():
    rotary = rotary_angles((1, 1, 4), 8)
    for dtype in (torch.bfloat16, torch.float32, torch.float64):
        assert rotate(random(1, 1, 5, 8).to(dtype), rotary).dtype == dtype


@pytest.mark.parametrize("added", ["learned", "sinusoidal", "none"])
@pytest.mark.parametrize("rotary", [True, False])
def test_positions_add_what_they_say(added, rotary):
    positions, x = Positions((1, 2, 3), 8, 4, added=added, rotary=rotary), random(2, 6, 8, dtype=torch.float32)
    moved = positions(x) - x
    assert (positions.rotary is not None) == rotary
    if added == "none":
        assert (moved == 0).all()
    else:
        torch.testing.assert_close(moved[0], moved[1])
        assert (moved[0].std(0) > 0).any()
    assert set(positions.state_dict()) == ({"added"} if added == "learned" else set())
    assert len(list(positions.parameters())) == (added == "learned")
    if added == "sinusoidal":
        torch.testing.assert_close(moved[0], sinusoidal_positions((1, 2, 3), 8))
