import math

import pytest
import torch

from sparring.augment import Augmentation, flip
from sparring.config import AugmentConfig

EVERYTHING = AugmentConfig(probability=0.5, translation=0.25, cutout=0.5, color=0.5)
SHAPES = [(1, 12), (2, 8), (3, 8, 12), (1, 8, 8), (4, 6, 6), (3, 4, 6, 8), (1, 4, 4, 4)]
every_shape = pytest.mark.parametrize("shape", SHAPES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=seeded(seed))


def only(name, value, probability=1.0):
    """A configuration with one kind of change."""
    return AugmentConfig(**{"probability": probability, "translation": 0.0, "cutout": 0.0, "color": 0.0, name: value})


@every_shape
def test_one_draw_does_the_same_to_every_tensor(shape):
    draw = Augmentation.draw(EVERYTHING, 16, shape[1:], seeded())
    samples = random(16, *shape)
    assert torch.equal(draw(samples.clone()), draw(samples))
    # what it does is affine in the samples, with the same linear part whatever it is given
    other = random(16, *shape, seed=1)
    middle = draw((samples + other) / 2)
    torch.testing.assert_close(middle, (draw(samples) + draw(other)) / 2, atol=1e-5, rtol=1e-4)


@every_shape
def test_leaves_its_input_alone_and_keeps_its_shape(shape):
    draw, samples = Augmentation.draw(EVERYTHING, 16, shape[1:], seeded()), random(16, *shape)
    before = samples.clone()
    result = draw(samples)
    assert result.shape == samples.shape
    assert result.dtype == samples.dtype
    assert torch.equal(samples, before)
    assert not torch.equal(result, samples)


@every_shape
@pytest.mark.parametrize("count", [1, 5, 16])
def test_first_is_the_prefix(shape, count):
    draw, samples = Augmentation.draw(EVERYTHING, 16, shape[1:], seeded()), random(16, *shape)
    assert torch.equal(draw.first(count)(samples[:count]), draw(samples)[:count])
    partial = Augmentation.draw(only("translation", 0.25), 16, shape[1:], seeded())
    assert torch.equal(partial.first(count)(samples[:count]), partial(samples)[:count])


@every_shape
def test_the_seed_determines_the_draw(shape):
    samples = random(16, *shape)
    first, second, third = (Augmentation.draw(EVERYTHING, 16, shape[1:], seeded(s))(samples) for s in (5, 5, 6))
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


@every_shape
def test_gradients_flow_where_something_is_left(shape):
    draw = Augmentation.draw(EVERYTHING, 16, shape[1:], seeded())
    samples = random(16, *shape).requires_grad_()
    output = draw(samples)
    output.square().sum().backward()
    assert samples.grad.isfinite().all()
    assert (samples.grad.flatten(1).abs().sum(1) > 0).all()
    # the derivative is the change that a step makes
    with torch.no_grad():
        step = random(16, *shape, seed=2)
        linear = draw(samples + step) - output
    (product,) = torch.autograd.grad(draw(samples), samples, linear)
    assert float((product * step).sum()) == pytest.approx(float(linear.square().sum()), rel=1e-3)


def test_without_a_probability_there_is_no_augmentation():
    config = AugmentConfig(probability=0.0, translation=0.5, cutout=0.5, color=0.5)
    assert Augmentation.draw(config, 4, (8, 8), seeded()) is None


@every_shape
def test_without_any_strength_nothing_changes(shape):
    draw, samples = Augmentation.draw(only("color", 0.0), 4, shape[1:], seeded()), random(4, *shape)
    assert torch.equal(draw(samples), samples)


@pytest.mark.parametrize(("name", "value"), [("translation", 0.5), ("cutout", 0.5), ("color", 0.5)])
@pytest.mark.parametrize("probability", [0.1, 0.5])
def test_its_share_of_the_samples_is_changed(name, value, probability):
    batch = 4000
    samples = random(batch, 3, 8, 8)
    draw = Augmentation.draw(only(name, value, probability), batch, (8, 8), seeded())
    share = float(((draw(samples) - samples).abs() > 1e-4).flatten(1).any(1).float().mean())
    unmoved = 1 / 64 if name == "translation" else 0  # shifts by less than half a pixel, (1/2 / 4)^2 of them
    expected = probability * (1 - unmoved)
    assert share == pytest.approx(expected, abs=4 * math.sqrt(expected * (1 - expected) / batch))


def test_each_kind_draws_by_itself():
    draw = Augmentation.draw(EVERYTHING, 4000, (8, 8), seeded())
    shifted = (draw.shifts != 0).any(1).float()
    cut = (draw.cutout_start < 8).all(1).float()
    colored = (draw.color != 0).all(1).float()
    for a, b in [(shifted, cut), (shifted, colored), (cut, colored)]:
        assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 0.08


def test_the_frames_of_a_clip_are_changed_alike():
    draw = Augmentation.draw(EVERYTHING, 200, (4, 6, 8), seeded())
    assert torch.equal(draw.shifts, Augmentation.draw(EVERYTHING, 200, (6, 8), seeded()).shifts)
    frame = random(200, 3, 1, 6, 8)
    changed = draw(frame.expand(-1, -1, 4, -1, -1))
    torch.testing.assert_close(changed[:, :, :1].expand_as(changed), changed, atol=1e-5, rtol=0)
    torch.testing.assert_close(changed[:, :, 0], draw(frame[:, :, 0]), atol=1e-5, rtol=1e-5)


def test_the_draws_of_pictures_and_series_stay_what_they_were():  # a resumed run draws as before
    series, picture = (Augmentation.draw(EVERYTHING, 4, axes, seeded()) for axes in ((8,), (4, 6)))
    assert series.shifts.tolist() == [[0], [0], [-2], [0]]
    assert series.cutout_start.tolist() == [[2], [3], [1], [8]]
    assert picture.shifts.tolist() == [[0, 1], [0, 0], [0, 0], [0, 1]]
    assert picture.cutout_start.tolist() == [[4, 6], [4, 6], [2, 3], [4, 6]]


# ---- translation ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [(12,), (8, 12)])
def test_translation_moves_a_pixel_by_the_shift(axes):
    draw = Augmentation.draw(only("translation", 0.25), 200, axes, seeded())
    home = tuple(size // 2 for size in axes)
    samples = torch.zeros(200, 1, *axes)
    samples[(slice(None), 0, *home)] = 1
    moved = draw(samples)
    for sample, shift in zip(moved, draw.shifts.tolist(), strict=True):
        assert sample.nonzero().tolist() == [[0, *(h + s for h, s in zip(home, shift, strict=True))]]
    for axis, size in enumerate(axes):
        shifts = draw.shifts[:, axis]
        assert shifts.min() == -(size // 4)
        assert shifts.max() == size // 4
        assert abs(float(shifts.float().mean())) < 0.05 * size


def test_translation_repeats_the_border():
    draw = Augmentation(torch.tensor([[2], [-1]]), None, (), None)
    line = torch.arange(1.0, 6.0).expand(2, 1, 5)
    assert draw(line)[:, 0].tolist() == [[1, 1, 1, 2, 3], [2, 3, 4, 5, 5]]


def test_translation_moves_all_channels_alike_and_axes_in_their_order():
    draw = Augmentation(torch.tensor([[1, -2]]), None, (), None)
    sample = random(1, 2, 4, 6)
    moved = draw(sample)
    assert torch.equal(moved[:, :, 1:, :4], sample[:, :, :3, 2:])


# ---- cutout ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axes", [(12,), (8, 12), (4, 6, 8)])
@pytest.mark.parametrize("cutout", [0.25, 0.5, 1.0])
def test_cutout_takes_a_whole_box_of_its_size(axes, cutout):
    draw = Augmentation.draw(only("cutout", cutout), 200, axes, seeded())
    result = draw(torch.ones(200, 2, *axes))
    size = [*axes[:-2], *(round(cutout * length) for length in axes[-2:])]  # in all frames of a clip
    starts = set()
    for sample in result:
        holes = (sample == 0).nonzero()[:, 1:]
        assert len(holes) == 2 * math.prod(size)
        low, high = holes.amin(0), holes.amax(0)
        assert (high - low + 1).tolist() == size
        starts.add(tuple(low.tolist()))
    assert ((result == 0) | (result == 1)).all()
    for axis, length in enumerate(axes):  # everywhere from the first place to the last
        assert {start[axis] for start in starts} == set(range(length - size[axis] + 1))


def test_cutout_spares_the_samples_that_were_not_chosen():
    draw = Augmentation.draw(only("cutout", 0.5, probability=0.5), 400, (8, 8), seeded())
    areas = (draw(torch.ones(400, 1, 8, 8)) == 0).flatten(1).sum(1)
    assert set(areas.tolist()) == {0, 16}


# ---- colour ---------------------------------------------------------------------------------------------------------


def colored(samples, brightness=0.0, saturation=0.0, contrast=0.0):
    factors = torch.tensor([[brightness, saturation, contrast]]).expand(len(samples), 3)
    return Augmentation(None, None, (), factors)(samples)


def test_brightness_shifts_every_channel():
    samples = random(3, 3, 4, 4)
    torch.testing.assert_close(colored(samples, brightness=0.3), samples + 0.3)


def test_saturation_scales_the_distance_to_grey():
    samples = random(3, 3, 4, 4)
    grey = samples.mean(1, keepdim=True)
    torch.testing.assert_close(colored(samples, saturation=-1.0), grey.expand_as(samples))
    torch.testing.assert_close(colored(samples, saturation=0.5), grey + 1.5 * (samples - grey))


@pytest.mark.parametrize("channels", [1, 2])
def test_saturation_has_no_meaning_for_few_channels(channels):
    samples = random(3, channels, 4, 4)
    torch.testing.assert_close(colored(samples, saturation=0.7), samples)
    draw = Augmentation.draw(only("color", 0.5), 3, (4, 4), seeded())
    without = Augmentation(None, None, (), draw.color * torch.tensor([1.0, 0.0, 1.0]))
    torch.testing.assert_close(draw(samples), without(samples))


def test_saturation_leaves_a_fourth_channel():
    samples = random(3, 4, 4, 4)
    torch.testing.assert_close(colored(samples, saturation=0.7)[:, 3:], samples[:, 3:])


@pytest.mark.parametrize("channels", [1, 3])
def test_contrast_scales_the_distance_to_each_samples_mean(channels):
    samples = random(3, channels, 4, 4)
    for sample, result in zip(samples, colored(samples, contrast=0.5), strict=True):
        torch.testing.assert_close(result, sample.mean() + 1.5 * (sample - sample.mean()))


def test_color_is_within_its_strength():
    draw = Augmentation.draw(only("color", 0.25), 1000, (4, 4), seeded())
    assert draw.color.abs().max() <= 0.25
    assert (draw.color.amax(0) > 0.24).all()
    assert (draw.color.amin(0) < -0.24).all()


# ---- flip -----------------------------------------------------------------------------------------------------------


@every_shape
def test_flip_mirrors_about_half_along_the_last_axis(shape):
    samples = random(400, *shape)
    result = flip(samples, seeded())
    same = (result == samples).flatten(1).all(1)
    mirrored = (result == samples.flip(-1)).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 160 < int(mirrored.sum()) < 240
    assert torch.equal(flip(samples, seeded()), result)
