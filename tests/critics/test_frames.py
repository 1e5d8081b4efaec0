import pytest
import torch

from sparring.build import build
from sparring.codecs.autoencoder import AutoencoderCodec
from sparring.codecs.patch import PatchCodec, Patches
from sparring.config import ConfigError
from sparring.critics.frames import Frames, sample_frames, take_frames
from sparring.data.bouncing import bouncing
from sparring.data.spec import DataSpec


@pytest.mark.parametrize(("length", "frames", "steps"), [(16, 4, 5), (16, 2, 15), (5, 4, 1), (9, 3, 4)])
def test_any_first_frame_and_any_step_that_fits_occur(length, frames, steps):
    drawn = sample_frames(5000, length, frames, torch.Generator().manual_seed(0))
    step = drawn[:, 1] - drawn[:, 0]
    assert torch.equal(drawn, drawn[:, :1] + step[:, None] * torch.arange(frames))
    assert torch.equal(step.unique(), 1 + torch.arange(steps))
    for wide in step.unique():
        first = drawn[step == wide, 0].unique()
        assert torch.equal(first, torch.arange(length - (frames - 1) * wide))


def test_each_clip_has_frames_of_its_own():
    clips = torch.arange(2 * 3 * 5).view(2, 1, 3, 5)
    taken = take_frames(clips, torch.tensor([[0, 2], [1, 2]]))
    assert torch.equal(taken, torch.stack([clips[0][:, [0, 2]], clips[1][:, [1, 2]]]))


def test_the_view_shows_drawn_frames_and_without_a_draw_frames_evenly_apart():
    view, clips = Frames(PatchCodec((3, 8, 4, 4), 2, patch_frames=1), 3, stem=0), torch.randn(2, 3, 8, 4, 4)
    short = Patches((3, 3, 4, 4), 2, patch_frames=1)
    assert view.tokenizer.grid == short.grid
    assert torch.equal(view(clips), clips[:, :, [0, 3, 6]])
    draw = view.draw(2, torch.Generator().manual_seed(0))
    assert torch.equal(view(clips, draw), take_frames(clips, draw))
    assert torch.equal(view.of_fakes(clips, torch.empty(0), draw), take_frames(clips, draw))


def test_clips_are_trained_on_in_pixels_a_few_frames_at_a_time(tiny, straight_and_broken):
    config = tiny.replace({
        "codec.patch_size": 4, "critics.0.view": "frames", "critics.0.frames": 2, "data.path": "bouncing-1",
        "train.evaluate_every": 0,
    })  # fmt: skip
    one, other = straight_and_broken(config, bouncing(frames=4, resolution=16, num_digits=1, count=40), at=24)
    assert one.critics[0].discriminator.token_head.in_features == 2 * 4 * 4 * config.model.width
    assert torch.equal(one.sample(3, reject=0.5), other.sample(3, reject=0.5))


def test_the_stem_convolves_each_frame_by_itself(tiny):
    def make(**changes):
        config = tiny.replace({"codec.patch_size": 2, "model.stem": 1, "critics.0.view": "frames"} | changes)
        return build(config, DataSpec((1, 8, 24, 24), modality="video"))

    # 12 patches a side make 16 where they are halved three times; three frames stay three.
    for halvings, grid, places in ((None, (3, 12, 12), 6 * 6), (3, (3, 16, 16), 2 * 2)):
        networks = make(**{"critics.0.frames": 3, "critics.0.stem": halvings})
        (critic,) = networks.critics
        assert critic.view.tokenizer.grid == grid
        assert critic.discriminator.token_head.in_features == places * tiny.model.width
        clips = torch.randn(2, 1, 8, 24, 24)
        assert critic(critic.view(clips), torch.zeros(2, dtype=torch.long)).shape == (2,)
        made = networks.codec.unpatchify(networks.generator(torch.randn(2, networks.generator.z_size)))
        assert made.shape == clips.shape
    all_frames = make(**{"critics.0.view": "whole"})
    assert all_frames.list_critics()[0].discriminator.token_head.in_features == 4 * 6 * 6 * tiny.model.width


def test_where_there_are_no_frames_to_sample_it_is_refused():
    with pytest.raises(ConfigError, match="clips in patches"):
        Frames(PatchCodec((1, 8, 8), 2), 2, 0)
    latents = AutoencoderCodec((1, 4, 8, 8), Patches((1, 4, 8, 8), 4, 1), latents=2, width=16, depth=1)
    with pytest.raises(ConfigError, match="clips in patches"):
        Frames(latents, 2, 0)
    with pytest.raises(ConfigError, match="are all of a clip's 4: choose fewer"):
        Frames(PatchCodec((1, 4, 8, 8), 2), 4, 0)
