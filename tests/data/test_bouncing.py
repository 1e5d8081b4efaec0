import pytest
import torch

from sparring.data import DataError
from sparring.data.bouncing import SPEED, bouncing
from sparring.data.digits import open_digits


@pytest.fixture(scope="module")
def pair():
    return bouncing(frames=40)


@pytest.fixture(scope="module")
def single():
    return bouncing(frames=40, num_digits=1, count=500)


def unfolded(dataset, indices):
    """The corners' path (B, digits, T, 2) in the free range, stepped and mirrored frame by frame."""
    place, step = dataset.start[indices].clone(), dataset.step[indices].clone()
    path = []
    for _ in range(dataset.sample_shape[1]):
        path.append(place)
        place = place + step
        over, under = place > 1, place < 0
        place = torch.where(over, 2 - place, torch.where(under, -place, place))
        step = torch.where(over | under, -step, step)
    return torch.stack(path, dim=2)


def test_speed_is_constant_away_from_walls_and_reflection_is_exact(pair):
    indices = torch.arange(300)
    positions, _ = pair.truth(indices)
    side, digit = 64, 28
    assert torch.allclose(positions, (unfolded(pair, indices) * (side - digit) + digit / 2) / side, atol=1e-9)
    steps = positions.diff(dim=2)
    free = (side - digit) / side
    step = (pair.step[indices] * free)[:, :, None]
    straight = (steps.abs() - step.abs()).abs().amax(dim=-1) < 1e-9
    assert torch.allclose(steps[straight].norm(dim=-1), torch.tensor(SPEED * free, dtype=torch.float64))
    assert 0.7 < straight.double().mean() < 0.95
    assert (steps.norm(dim=-1) <= SPEED * free + 1e-9).all()


def test_positions_fill_the_free_range(pair):
    positions, digits = pair.truth(torch.arange(1000))
    assert positions.shape == (1000, 2, 40, 2)
    assert digits.shape == (1000, 2)
    assert 14 / 64 <= positions.min() < 14.2 / 64
    assert 49.8 / 64 < positions.max() <= 50 / 64
    angle = torch.atan2(*pair.step.flatten(0, 1).T)
    assert torch.histc(angle.float(), 8).min() > 0.9 * angle.numel() / 8


def test_frames_show_the_digits_at_the_rounded_places(pair):
    indices = torch.tensor([7, 9_999])
    samples, _ = pair.batch(indices)
    assert samples.shape == (2, 1, 40, 64, 64)
    assert samples.dtype == torch.float32
    corners = (pair.truth(indices)[0] * 64 - 14).round().long()
    for clip in range(2):
        for frame in (0, 21, 39):
            expected = torch.zeros(64, 64, dtype=torch.uint8)
            for digit in range(2):
                x, y = corners[clip, digit, frame].tolist()
                patch = expected[y : y + 28, x : x + 28]
                patch.copy_(torch.maximum(patch, pair.digits[pair.chosen[indices[clip], digit]]))
            assert torch.equal(samples[clip, 0, frame], expected.float() / 127.5 - 1)


def test_a_clip_follows_from_the_seed_and_its_index_alone(pair):
    indices = torch.tensor([3, 0, 99, 3])
    again, few = bouncing(frames=40), bouncing(frames=40, count=100)
    first = pair.batch(indices)[0]
    assert torch.equal(first[0], first[3])
    assert torch.equal(first, again.batch(indices)[0])
    assert torch.equal(first, few.batch(indices)[0])
    assert torch.equal(first[0], pair.batch(torch.tensor([3]))[0][0])
    other = bouncing(frames=40, count=100, seed=1)
    assert not torch.equal(first, other.batch(indices)[0])
    assert pair.fingerprint == again.fingerprint
    assert len({pair.fingerprint, few.fingerprint, other.fingerprint, bouncing(resolution=32).fingerprint}) == 4


def test_one_digit_gives_its_class(single):
    assert single.name == "bouncing-1"
    assert single.class_names == [str(digit) for digit in range(10)]
    _, classes = single.batch(torch.arange(500))
    positions, digits = single.truth(torch.arange(500))
    assert torch.equal(classes, digits[:, 0])
    assert positions.shape == (500, 1, 40, 2)
    assert len(classes.unique()) == 10
    training = open_digits()
    shown = training.samples[single.chosen[:, 0], 0]
    assert torch.equal(single.digits[single.chosen[:, 0]], shown)
    assert torch.equal(training.classes[single.chosen[:, 0]], classes)


def test_labels_can_be_left_out_and_two_digits_have_none(pair):
    plain = bouncing(num_digits=1, count=10, conditional=False)
    assert plain.num_classes == pair.num_classes == 0
    assert any("ignored" in note for note in plain.notes)
    assert not pair.notes
    assert pair.name == "bouncing"
    assert plain.labels().tolist() == [0] * 10
    assert plain.truth(torch.arange(10))[1].any()


def test_held_out_clips_show_held_out_digits(pair):
    assert len(pair) == 100_000
    assert len(bouncing(num_digits=1)) == 10_000
    assert len(pair.held_out) == 1_000
    held = {bytes(digit) for digit in pair.held_out.digits.numpy()}
    training = {bytes(digit) for digit in pair.digits.numpy()}
    assert len(held) == 1_000
    assert not held & training
    assert not torch.equal(pair.start[:1000], pair.held_out.start)
    assert pair.held_out.fingerprint != pair.fingerprint


@pytest.mark.parametrize(("resolution", "side"), [(16, 7), (32, 14), (48, 21), (128, 56)])
def test_digits_keep_their_proportion_at_other_resolutions(resolution, side):
    dataset = bouncing(frames=5, resolution=resolution, num_digits=1, count=50)
    samples, _ = dataset.batch(torch.arange(50))
    assert samples.shape == (50, 1, 5, resolution, resolution)
    assert dataset.digits.shape[-1] == side
    large = bouncing(frames=5, num_digits=1, count=50)
    assert torch.equal(large.chosen, dataset.chosen)
    here, there = (s.add(1).mean(dim=(1, 2, 3, 4)) for s in (samples, large.batch(torch.arange(50))[0]))
    assert (here / there - 1).abs().max() < 0.25


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frames": 0}, "--data.frames"),
        ({"resolution": 20}, "16, 24, 32"),
        ({"resolution": 8}, "16, 24, 32"),
        ({"num_digits": 3}, "one or two"),
        ({"count": 0}, "count of 1"),
        ({"seed": -1}, "seed of 0"),
    ],
)
def test_wrong_settings_are_named(wrong, message):
    with pytest.raises(DataError, match=message):
        bouncing(**wrong)
