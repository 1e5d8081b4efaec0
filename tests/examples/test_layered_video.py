import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

import sparring
from examples.layered_video.crops import Crops
from examples.layered_video.layers import REACH, LayerCodec, LayeredGenerator, LayerSettings, _moved
from examples.layered_video.preset import bouncing as preset
from examples.layered_video.train import main
from sparring.build import build
from sparring.cli import main as command
from sparring.codecs.settings import CODECS
from sparring.config import Config, ConfigError
from sparring.critics.frames import Frames, take_frames
from sparring.data.bouncing import bouncing
from sparring.data.conditions import Classes
from sparring.pretrained import CheckpointError
from sparring.training.codec_trainer import fit

from specs import spec_of

ROOT = Path(__file__).parents[2]


def test_pictures_are_moved_by_whole_pixels():
    torch.manual_seed(0)
    height, width = 32, 30
    pictures, paths = torch.randn(2, 3, 2, 24, 18), 1.6 * torch.rand(2, 3, 5, 2) - 0.8
    halves = torch.tensor([width / 2, height / 2])
    whole = (paths * halves).round() / halves
    y, x = torch.meshgrid(
        (torch.arange(height) + 0.5) / height * 2 - 1, (torch.arange(width) + 0.5) / width * 2 - 1, indexing="ij"
    )
    places = (torch.stack([x, y], -1) - whole.flatten(0, 2)[:, None, None]) * torch.tensor([width / 18, height / 24])
    frames = pictures[:, :, None].expand(-1, -1, 5, -1, -1, -1).flatten(0, 2)
    wanted = F.grid_sample(frames, places, align_corners=False).view(2, 3, 5, 2, height, width).transpose(2, 3)
    torch.testing.assert_close(_moved(pictures, paths, (height, width)), wanted, atol=1e-4, rtol=0)


def test_a_path_finds_its_way_in_spite_of_the_rounding():
    place = (torch.arange(9) - 4.0).square()
    blob = (-(place[:, None] + place) / 12).exp().view(1, 1, 1, 9, 9)
    goal = torch.tensor([[0.4, -0.3], [-0.5, 0.25], [0.1, 0.6]]).view(1, 1, 3, 2)
    path = torch.zeros_like(goal).requires_grad_()
    adam = torch.optim.Adam([path], 0.02)
    for _ in range(100):
        (_moved(blob, path, (20, 20)) - _moved(blob, goal, (20, 20))).square().sum().backward()
        adam.step()
        adam.zero_grad()
    assert (path - goal).abs().max() < 0.12  # a pixel is 0.1


def test_the_slope_of_a_path_is_that_on_both_sides_of_a_whole_pixel():
    torch.manual_seed(0)
    picture, weights = torch.randn(1, 1, 1, 10, 10), torch.randn(20, 20)
    path = torch.tensor([0.2, -0.1]).view(1, 1, 1, 2).requires_grad_()

    def total(path):
        return (_moved(picture, path, (20, 20))[0, 0, 0, 0] * weights).sum()

    (slope,) = torch.autograd.grad(total(path), path)
    for axis in (0, 1):
        pixel = torch.zeros(2)
        pixel[axis] = 0.1
        both = (total(path + pixel) - total(path - pixel)) / 0.1
        torch.testing.assert_close(slope[..., axis].squeeze(), both.detach(), rtol=1e-3, atol=1e-3)


def codec_of(patch_size=1, shape=(3, 4, 16, 16)):
    return LayerCodec(shape, patch_size, layers=2)


def tokens_of(codec, pictures, opacity, shift):
    """Tokens of layers (S, C, h, w), each as opaque as said, that stand still where `shift` (S, 2) says."""
    drawn = codec.picture.patchify(torch.cat([pictures.atanh(), opacity.expand(-1, 1, *pictures.shape[2:])], 1))
    path = torch.zeros(len(pictures), codec.path_tokens, codec.picture.token_dim)
    path.flatten(1)[:, :2] = shift / REACH
    return torch.cat([drawn, path], 1).flatten(0, 1)[None]


def random_tokens(codec, count):
    return torch.randn(count, 2 * (8 * 8 + codec.path_tokens), codec.picture.token_dim)


def test_a_path_is_straight_but_for_its_bends():
    codec = codec_of(shape=(1, 16, 16, 16))
    assert codec.bends == 4
    tokens = random_tokens(codec, 5)
    _, paths = codec.pictures_and_paths(tokens)
    assert paths.shape == (5, 2, 16, 2)
    turns = paths.diff(dim=2).diff(dim=2).abs().amax(-1) > 1e-4
    assert turns.sum(-1).max() <= 2 * codec.bends  # a bend between two frames turns before and after
    still, straight = tokens.clone(), tokens.clone()
    for made, kept in ((still, 2), (straight, 4)):
        path = made.unflatten(1, (2, -1))[:, :, 64:].flatten(2)
        path[..., kept:] = 0
        made.unflatten(1, (2, -1))[:, :, 64:] = path.view(5, 2, codec.path_tokens, -1)
    assert torch.equal(codec.pictures_and_paths(still)[1].diff(dim=2), torch.zeros(5, 2, 15, 2))
    steps = codec.pictures_and_paths(straight)[1].diff(dim=2)
    torch.testing.assert_close(steps, steps[:, :, :1].expand_as(steps), atol=1e-5, rtol=0)
    assert steps.abs().amax((2, 3)).min() > 0.01


def test_what_is_opaque_hides_what_lies_behind_it_and_the_background():
    codec = codec_of()
    codec.background.fill_(0.5)
    pictures = torch.stack([torch.full((3, 8, 8), value) for value in (0.2, -0.7)])
    there = torch.tensor([[-0.25, 0.0], [0.25, 0.0]])  # two pixels to the left, two to the right
    clip = codec.unpatchify(tokens_of(codec, pictures, torch.full((2, 1, 1, 1), 50.0), there))
    assert clip.shape == (1, 3, 4, 16, 16)
    assert torch.equal(clip[:, :, 0], clip[:, :, -1])
    torch.testing.assert_close(clip[0, :, 0, 8, 3], torch.full((3,), 0.2))
    torch.testing.assert_close(clip[0, :, 0, 8, 9], torch.full((3,), -0.7))  # where both are, the last lies in front
    torch.testing.assert_close(clip[0, :, 0, 0, 0], torch.full((3,), 0.5))
    unseen = codec.unpatchify(tokens_of(codec, pictures, torch.full((2, 1, 1, 1), -50.0), there))
    torch.testing.assert_close(unseen, torch.full_like(unseen, 0.5))


def test_the_background_is_the_median_of_all_frames():
    codec = codec_of(shape=(1, 8, 16, 16))
    clips = bouncing(frames=8, resolution=16, num_digits=1, count=50).batch(torch.arange(50))[0]
    codec.fit(0.5 - clips)
    torch.testing.assert_close(codec.background, torch.full((1, 1, 16, 16), 1.5))


def test_single_frames_are_those_of_the_clip():
    codec, frames = codec_of(), torch.tensor([[0, 2], [1, 3], [3, 3]])
    tokens = random_tokens(codec, 3)
    rendered = codec.render(*codec.pictures_and_paths(tokens), frames)
    assert torch.equal(rendered, take_frames(codec.unpatchify(tokens), frames))


def test_each_slot_is_made_of_its_own_z_alone_as_a_generator_of_one_slot_would():
    options = {
        "width": 16, "depth": 1, "num_heads": 2, "condition": Classes(("a", "b", "c")), "z_dim": 5, "noise_dim": 2,
        "path_tokens": 2,
    }  # fmt: skip
    torch.manual_seed(0)
    both, one = (LayeredGenerator((1, 4, 4), 6, slots=slots, **options) for slots in (2, 1))
    for parameter in both.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    one.load_state_dict(both.state_dict())
    z, labels = torch.randn(3, both.z_size), torch.arange(3)
    tokens = both(z, labels)
    assert tokens.shape == (3, 2 * (16 + 2), 6)
    global_z, noise = both.split(z)
    for slot, made in enumerate(tokens.chunk(2, 1)):
        own = one.synthesize(one.mapping(global_z.chunk(2, 1)[slot], labels), noise.chunk(2, 1)[slot])
        torch.testing.assert_close(made, own, atol=1e-4, rtol=1e-4)
    other = z.clone()
    other[:, :5] += 1
    changed = (both(other, labels) != tokens).flatten(2).any(2)
    assert changed[:, :18].all()
    assert not changed[:, 18:].any()


def test_a_run_stops_goes_on_and_samples_as_any_other(layered, straight_and_broken):
    dataset = bouncing(frames=4, resolution=16, count=40)
    one, other = straight_and_broken(layered, dataset, at=24)
    assert [type(critic.view) for critic in one.critics] == [Frames, Crops]
    assert torch.equal(one.sample(5), other.sample(5))
    assert one.sample(5, truncation_psi=0.5, reject=0.5).shape == (5, 1, 4, 16, 16)
    fresh = codec_of(patch_size=2, shape=dataset.sample_shape)
    fit(fresh, dataset, torch.device("cpu"))
    for gan in (one, other):
        assert torch.equal(gan.codec.background, fresh.background)
    assert fresh.background.max() > -1  # where digits often overlap


def test_a_run_is_refused_in_one_line_where_nothing_registers_its_codec(layered, tmp_path, monkeypatch, capsys):
    folder = tmp_path / "run"
    sparring.train(layered.replace({"train.num_samples": 8}), folder, dataset=bouncing(4, 16, count=40))
    assert sparring.load(folder).sample(2).shape == (2, 1, 4, 16, 16)
    monkeypatch.delitem(CODECS, "layers")
    with pytest.raises(CheckpointError, match=r"not layers; .*import the module that registers it$"):
        sparring.load(folder)
    assert command(["sample", str(folder), "--out", str(tmp_path / "clips.webp")]) != 0
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert said.endswith("import the module that registers it")


def test_both_commands_work_from_the_repository_root(tmp_path):
    def run(*words):
        subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True, capture_output=True)

    out = tmp_path / "run"
    run("examples.layered_video.train", "--resolution", "16", "--num-samples", "16", "--out", str(out))
    run("examples.layered_video", "sample", str(out), "--num", "2", "--out", str(tmp_path / "clips.webp"))
    assert (tmp_path / "clips.webp").stat().st_size > 100


def test_the_script_explains_what_it_cannot_train(tmp_path, capsys):
    assert main(["--resolution", "15", "--out", str(tmp_path / "run")]) == 2
    assert "16, 24, 32" in capsys.readouterr().err


@pytest.mark.parametrize(("frames", "views"), [(4, ["whole", "crops"]), (16, ["frames", "crops"])])
@pytest.mark.parametrize("side", [16, 32, 64])
def test_the_preset_fits_its_data(frames, side, views):
    config = preset(frames, side, side)
    networks = build(config, spec_of((1, frames, side, side)))
    whole, crop = (critic.view for critic in networks.critics)
    assert [critic.view for critic in config.critics] == views
    assert config.critics[1].gamma == pytest.approx(crop.shape[1] * crop.shape[2] / (4 * side * side))
    assert whole.shape == (1, 4, side, side)


@pytest.mark.parametrize(
    ("shape", "changes", "saying"),
    [
        ((1, 8, 8), {}, "layers is for clips"),
        ((1, 4, 8, 8), {"critics.0.view": "frames", "critics.0.frames": 4}, "all of a clip's 4: choose fewer"),
        ((1, 4, 8, 8), {"critics.0.view": "crops", "codec.name": "patch"}, "crops needs a known background"),
    ],
)
def test_what_does_not_fit_is_refused(shape, changes, saying):
    with pytest.raises(ConfigError, match=saying):
        build(Config(codec=LayerSettings(patch_size=2)).replace(changes), spec_of(shape))
