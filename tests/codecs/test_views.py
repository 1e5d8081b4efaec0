import pytest
import torch

from sparring.codecs import PatchCodec
from sparring.codecs.views import View, coarser, draw_parts, draw_stretches, take_frames
from sparring.config import Config, ConfigError
from sparring.data.bouncing import bouncing
from sparring.data.digits import open_digits
from sparring.models.networks import DataSpec, Networks


@pytest.mark.parametrize(("frames", "seen", "steps"), [(16, 4, 5), (16, 2, 15), (5, 4, 1), (9, 3, 4)])
def test_any_first_frame_and_any_step_that_fits_occur(frames, seen, steps):
    drawn = draw_stretches(5000, frames, seen, torch.Generator().manual_seed(0))
    step = drawn[:, 1] - drawn[:, 0]
    assert torch.equal(drawn, drawn[:, :1] + step[:, None] * torch.arange(seen))
    assert torch.equal(step.unique(), 1 + torch.arange(steps))
    for wide in step.unique():
        first = drawn[step == wide, 0].unique()
        assert torch.equal(first, torch.arange(frames - (seen - 1) * wide))


def test_each_clip_has_frames_of_its_own():
    clips = torch.arange(2 * 3 * 5).view(2, 1, 3, 5)
    taken = take_frames(clips, torch.tensor([[0, 2], [1, 2]]))
    assert torch.equal(taken, torch.stack([clips[0][:, [0, 2]], clips[1][:, [1, 2]]]))


def test_the_discriminator_sees_stretches_and_of_a_whole_clip_frames_evenly_apart():
    codec, clips = PatchCodec((3, 8, 4, 4), 2, patch_frames=1, seen_frames=3), torch.randn(2, 3, 8, 4, 4)
    short = PatchCodec((3, 3, 4, 4), 2, patch_frames=1)
    assert codec.seen.grid == short.grid
    assert torch.equal(codec.look(clips), short.encode(clips[:, :, [0, 3, 6]]))
    view = codec.draw_view(2, torch.Generator().manual_seed(0))
    stretches = codec.decode(codec.encode(clips), view)
    assert torch.equal(stretches, take_frames(clips, view.frames))
    assert torch.equal(codec.look(stretches), short.encode(stretches))
    whole = PatchCodec((3, 8, 4, 4), 2, patch_frames=1)
    assert whole.draw_view(2, torch.Generator()) is None
    assert torch.equal(whole.look(clips), whole.encode(clips))


def test_every_other_sample_is_seen_whole_and_of_the_others_any_part():
    corners = draw_parts(2000, (6, 9), 3, torch.Generator().manual_seed(0))
    assert (corners[::2] == -1).all()
    assert torch.equal(corners[1::2].unique(dim=0), torch.cartesian_prod(torch.arange(5), torch.arange(7)))


@pytest.mark.parametrize("shape", [(3, 6, 4), (1, 5, 6, 4)])
def test_a_view_is_means_of_squares_or_a_part_as_it_is(shape):
    samples = torch.randn(3, *shape)
    seen = View(corners=torch.tensor([[-1, -1], [0, 0], [3, 1]]), scale=2)(samples)
    assert seen.shape == (3, *shape[:-2], 3, 2)
    squares = samples[0].unflatten(-1, (2, 2)).unflatten(-3, (3, 2)).mean((-1, -3))
    torch.testing.assert_close(seen[0], squares)
    torch.testing.assert_close(coarser(samples, 2)[0], squares)
    assert torch.equal(seen[1], samples[1, ..., :3, :2])
    assert torch.equal(seen[2], samples[2, ..., 3:, 1:3])


def test_a_view_of_some_samples_is_theirs():
    clips, codec = torch.randn(6, 1, 8, 8, 8), PatchCodec((1, 8, 8, 8), 1, 0, 1, seen_frames=3, seen_scale=2)
    view = codec.draw_view(6, torch.Generator().manual_seed(0))
    seen = view(clips)
    assert seen.shape == (6, 1, 3, 4, 4)
    assert torch.equal(torch.cat([view[:4](clips[:4]), view[4:](clips[4:])]), seen)
    assert torch.equal(codec.look(seen), codec.seen.encode(seen))
    assert torch.equal(codec.look(clips), codec.seen.encode(coarser(clips[:, :, [0, 3, 6]], 2)))


def test_the_generator_doubles_once_more_than_the_discriminator_halves(tiny):
    config = tiny.replace({"codec.patch_size": 1, "codec.seen_scale": 2, "model.stem": 1})
    networks = Networks(config, DataSpec((1, 16, 16)))
    assert networks.generator.num_tokens == 16
    assert networks.codec.seen.grid == (1, 8, 8)
    tokens = networks.generator(torch.randn(2, networks.generator.z_size))
    assert networks.codec.decode(tokens).shape == (2, 1, 16, 16)


def test_clips_are_trained_on_in_pixels_a_few_frames_at_a_time(tiny, straight_and_broken):
    config = tiny.replace(
        {"codec.patch_size": 4, "codec.seen_frames": 2, "data.path": "bouncing-1", "train.evaluate_every": 0}
    )
    one, other = straight_and_broken(config, bouncing(frames=4, resolution=16, num_digits=1, count=40), at=24)
    assert one.discriminator.judge_tokens.in_features == 2 * 4 * 4 * config.model.width
    assert torch.equal(one.sample(3, reject=0.5), other.sample(3, reject=0.5))


def test_pictures_are_trained_on_coarser_or_in_parts(tiny, straight_and_broken):
    config = tiny.replace({"codec.patch_size": 2, "codec.seen_scale": 2, "train.evaluate_every": 0})
    one, other = straight_and_broken(config, open_digits(resolution=16), at=24)
    assert one.discriminator.judge_tokens.in_features == 4 * 4 * config.model.width
    assert torch.equal(one.sample(3, reject=0.5), other.sample(3, reject=0.5))


@pytest.mark.parametrize(
    ("shape", "changes", "saying"),
    [
        ((1, 8, 8), {"codec.seen_frames": 2}, "samples without frames"),
        ((2, 24), {"codec.seen_frames": 2, "model.bounded": False}, "samples without frames"),
        ((1, 4, 8, 8), {"codec.seen_frames": 2, "codec.name": "autoencoder"}, "no effect with --codec.name autoenc"),
        ((1, 4, 8, 8), {"codec.seen_frames": 2, "loss.transport": 0.1}, "drop it or --codec.seen_frames"),
        ((2, 24), {"codec.seen_scale": 2, "model.bounded": False}, "no effect on series"),
        ((1, 8, 9), {"codec.seen_scale": 2}, "does not divide 8×9"),
        ((1, 9, 9), {"codec.seen_scale": 3}, "power of two"),
        ((1, 8, 8), {"codec.seen_scale": 2, "codec.name": "autoencoder"}, "no effect with --codec.name autoencoder"),
        ((1, 8, 8), {"codec.seen_scale": 2, "loss.transport": 0.1}, "drop it or --codec.seen_scale"),
    ],
)
def test_where_it_has_no_effect_it_is_refused(shape, changes, saying):
    def build():
        config = Config().replace(changes)
        Networks(config, DataSpec(shape)).noise_codec(config)

    with pytest.raises((ConfigError, ValueError), match=saying):
        build()
