import pytest
import torch

from sparring.build import Networks
from sparring.codecs import PatchCodec
from sparring.codecs.stretches import draw_stretches, take_frames
from sparring.config import Config, ConfigError
from sparring.data.bouncing import bouncing
from sparring.data.spec import DataSpec

from specs import spec_of


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
    frames = codec.draw_stretches(2, torch.Generator().manual_seed(0))
    stretches = codec.decode(codec.encode(clips), frames)
    assert torch.equal(stretches, take_frames(clips, frames))
    assert torch.equal(codec.look(stretches), short.encode(stretches))
    whole = PatchCodec((3, 8, 4, 4), 2, patch_frames=1)
    assert whole.draw_stretches(2, torch.Generator()) is None
    assert torch.equal(whole.look(clips), whole.encode(clips))


def test_clips_are_trained_on_in_pixels_a_few_frames_at_a_time(tiny, straight_and_broken):
    config = tiny.replace(
        {"codec.patch_size": 4, "codec.seen_frames": 2, "data.path": "bouncing-1", "train.evaluate_every": 0}
    )
    one, other = straight_and_broken(config, bouncing(frames=4, resolution=16, num_digits=1, count=40), at=24)
    assert one.discriminator.judge_tokens.in_features == 2 * 4 * 4 * config.model.width
    assert torch.equal(one.sample(3, reject=0.5), other.sample(3, reject=0.5))


def test_the_stem_sees_each_frame_of_a_stretch_by_itself(tiny):
    def build(**changes):
        config = tiny.replace({"codec.patch_size": 2, "model.stem": 1, "codec.seen_frames": 3} | changes)
        return Networks(config, DataSpec((1, 8, 24, 24), modality="video"))

    # 12 patches a side make 16 where they are halved three times; three frames stay three.
    for halvings, grid, places in ((None, (3, 12, 12), 6 * 6), (3, (3, 16, 16), 2 * 2)):
        networks = build(**{"model.discriminator_stem": halvings})
        patches, discriminator = networks.codec.patches, networks.discriminator
        assert patches.seen.grid == grid
        assert discriminator.judge_tokens.in_features == places * tiny.model.width
        seen = patches.look(torch.randn(2, 1, 8, 24, 24))
        assert discriminator(seen).shape == (2,)
        made = patches.decode(networks.generator(torch.randn(2, networks.generator.z_size)))
        assert made.shape == (2, 1, 8, 24, 24)
    all_frames = build(**{"codec.seen_frames": None})
    assert all_frames.discriminator.judge_tokens.in_features == 4 * 6 * 6 * tiny.model.width


@pytest.mark.parametrize(
    ("shape", "changes", "saying"),
    [
        ((1, 8, 8), {}, "samples without frames"),
        ((2, 24), {"model.bounded": False}, "samples without frames"),
        ((1, 4, 8, 8), {"codec.name": "autoencoder"}, "no effect with --codec.name autoencoder"),
    ],
)
def test_where_it_has_no_effect_it_is_refused(shape, changes, saying):
    def build():
        config = Config().replace({"codec.seen_frames": 2} | changes)
        Networks(config, spec_of(shape))

    with pytest.raises((ConfigError, ValueError), match=saying):
        build()
