import pytest
import torch
import torch.nn.functional as F
from sparring.codecs.layers import _REACH, Layers, _moved
from sparring.codecs.stretches import take_frames

from sparring.build import Networks
from sparring.codecs import LayerCodec, PatchCodec
from sparring.config import Config
from sparring.data.bouncing import bouncing
from sparring.models.generator import Generator

from specs import spec_of

LAYERS = {"codec.name": "layers", "codec.patch_size": 2, "model.bounded": False}


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


def layers(patch_size=1, seen_frames=None):
    return Layers((3, 4, 16, 16), patch_size, patch_frames=1, layers=2, seen_frames=seen_frames)


def tokens_of(codec, pictures, opacity, shift):
    """Of layers (P, C, h, w), each as opaque as said, that stand still where `shift` (P, 2) says."""
    drawn = codec.canvas.encode(torch.cat([pictures.atanh(), opacity.expand(-1, 1, *pictures.shape[2:])], 1))
    loose = torch.zeros(len(pictures), codec.path_tokens, codec.canvas.token_dim)
    loose.flatten(1)[:, :2] = shift / _REACH
    return torch.cat([drawn, loose], 1).flatten(0, 1)[None]


def test_a_path_is_straight_but_for_its_bends():
    codec = Layers((1, 16, 8, 8), 1, patch_frames=1, layers=2)
    assert codec.bends == 4
    tokens = torch.randn(5, 2 * (4 * 4 + codec.path_tokens), codec.canvas.token_dim)
    _, paths = codec.pictures_and_paths(tokens)
    assert paths.shape == (5, 2, 16, 2)
    turns = paths.diff(dim=2).diff(dim=2).abs().amax(-1) > 1e-4
    assert turns.sum(-1).max() <= 2 * codec.bends  # a bend between two frames turns before and after
    still, straight = tokens.clone(), tokens.clone()
    for made, kept in ((still, 2), (straight, 4)):
        loose = made.unflatten(1, (2, -1))[:, :, 16:].flatten(2)
        loose[..., kept:] = 0
        made.unflatten(1, (2, -1))[:, :, 16:] = loose.view(5, 2, codec.path_tokens, -1)
    assert torch.equal(codec.pictures_and_paths(still)[1].diff(dim=2), torch.zeros(5, 2, 15, 2))
    steps = codec.pictures_and_paths(straight)[1].diff(dim=2)
    torch.testing.assert_close(steps, steps[:, :, :1].expand_as(steps), atol=1e-5, rtol=0)
    assert steps.abs().amax((2, 3)).min() > 0.01


def test_what_is_opaque_hides_what_lies_behind_it_and_the_background():
    codec = layers()
    codec.background.fill_(0.5)
    side = codec.canvas.sample_shape[-1]
    pictures = torch.stack([torch.full((3, side, side), value) for value in (0.2, -0.7)])
    there = torch.tensor([[-0.25, 0.0], [0.25, 0.0]])  # two pixels to the left, two to the right
    film = codec.decode(tokens_of(codec, pictures, torch.full((2, 1, 1, 1), 50.0), there))
    assert film.shape == (1, 3, 4, 16, 16)
    assert torch.equal(film[:, :, 0], film[:, :, -1])
    torch.testing.assert_close(film[0, :, 0, 8, 3], torch.full((3,), 0.2))
    torch.testing.assert_close(film[0, :, 0, 8, 9], torch.full((3,), -0.7))  # where both are, the last lies in front
    torch.testing.assert_close(film[0, :, 0, 0, 0], torch.full((3,), 0.5))
    unseen = codec.decode(tokens_of(codec, pictures, torch.full((2, 1, 1, 1), -50.0), there))
    torch.testing.assert_close(unseen, torch.full_like(unseen, 0.5))


def test_the_background_is_the_median_of_all_frames():
    codec = LayerCodec(Layers((1, 8, 16, 16), patch_size=4, patch_frames=1, layers=1))
    clips = bouncing(frames=8, resolution=16, num_digits=1, count=50).batch(torch.arange(50))[0]
    codec.measure(0.5 - clips)
    torch.testing.assert_close(codec.patches.background, torch.full((1, 1, 16, 16), 1.5))


def test_the_discriminator_sees_whole_films():
    codec = layers(patch_size=2)
    films = torch.randn(2, 3, 4, 16, 16)
    assert torch.equal(codec.look(films), PatchCodec((3, 4, 16, 16), 2, 0, 1).encode(films))


def test_of_a_film_only_the_frames_that_are_seen_are_made():
    codec = layers(seen_frames=2)
    tokens = torch.randn(3, 2 * (8 * 8 + codec.path_tokens), codec.canvas.token_dim)
    frames = codec.draw_stretches(3, torch.Generator().manual_seed(0))
    assert frames.shape == (3, 2)
    assert torch.equal(codec.decode(tokens, frames), take_frames(codec.decode(tokens), frames))


def test_each_part_is_made_of_its_own_numbers_alone_as_a_generator_of_one_part_would():
    options = {"width": 16, "depth": 1, "num_heads": 2, "num_classes": 3, "z_dim": 5, "noise_dim": 2, "loose_tokens": 2}
    torch.manual_seed(0)
    both, one = (Generator((1, 4, 4), 6, parts=parts, **options) for parts in (2, 1))
    for parameter in both.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    one.load_state_dict(both.state_dict())
    z, labels = torch.randn(3, both.z_size), torch.arange(3)
    tokens = both(z, labels)
    assert tokens.shape == (3, 2 * (16 + 2), 6)
    global_z, noise = both.split(z)
    for part, made in enumerate(tokens.chunk(2, 1)):
        own = one.synthesize(one.mapping(global_z.chunk(2, 1)[part], labels), noise.chunk(2, 1)[part])
        torch.testing.assert_close(made, own, atol=1e-4, rtol=1e-4)
    other = z.clone()
    other[:, :5] += 1
    changed = (both(other, labels) != tokens).flatten(2).any(2)
    assert changed[:, :18].all()
    assert not changed[:, 18:].any()


@pytest.mark.parametrize("seen_frames", [None, 2])
def test_a_run_stops_goes_on_and_samples_as_any_other(tiny, straight_and_broken, seen_frames):
    config = tiny.replace(
        LAYERS | {"codec.seen_frames": seen_frames, "data.path": "bouncing", "train.evaluate_every": 0}
    )
    dataset = bouncing(frames=4, resolution=16, count=40)
    one, other = straight_and_broken(config, dataset, at=24)
    assert torch.equal(one.sample(5), other.sample(5))
    assert one.sample(5, truncation_psi=0.5, reject=0.5).shape == (5, 1, 4, 16, 16)
    assert torch.equal(one.codec.patches.background, other.codec.patches.background)
    measured = LayerCodec(Layers(dataset.sample_shape, patch_size=2, patch_frames=1, layers=2))
    measured.measure(dataset.batch(torch.arange(40))[0])
    assert torch.equal(one.codec.patches.background, measured.patches.background)
    assert measured.patches.background.max() > -1  # where digits often overlap


@pytest.mark.parametrize(
    ("shape", "changes", "saying"),
    [
        ((1, 8, 8), {}, "layers is for films"),
        ((1, 4, 8, 8), {"model.bounded": True}, "paths without bounds"),
        ((1, 1, 256, 256), {"codec.layers": 32}, "more than 2048 tokens"),
        ((1, 4, 8, 8), {"codec.patch_frames": 9}, "choose at most 4"),
        ((1, 4, 8, 8), {"codec.seen_frames": 4}, "all of a clip's 4: choose fewer"),
        ((1, 4, 8, 8), {"codec.seen_frames": 2, "codec.patch_frames": 3}, "choose at most 2"),
    ],
)
def test_what_has_no_layers_is_refused(shape, changes, saying):
    with pytest.raises(ValueError, match=saying):
        Networks(Config().replace(LAYERS | changes), spec_of(shape))
