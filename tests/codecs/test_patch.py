"""Patches against indexing by hand."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from sparring.codecs.patch import PatchCodec, Patches


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# (sample shape, patch size): series, images and videos
CASES = [
    ((1, 12), 4),
    ((2, 12), 3),
    ((2, 1), 1),
    ((3, 8, 8), 4),
    ((3, 8, 12), 4),
    ((2, 6, 9), 3),
    ((1, 5, 7), 1),
    ((2, 4, 4, 6), 2),
    ((3, 1, 8, 8), 4),
    ((1, 1, 1, 8), 4),
    ((1, 6, 1, 1), 3),
    # sides that come out uneven
    ((2, 11), 4),
    ((1, 13), 4),
    ((3, 7, 10), 4),
    ((2, 7, 2), 4),
    ((2, 3, 5, 7), 2),
]
every_case = pytest.mark.parametrize(("shape", "patch"), CASES)


def volume(shape):
    """(T, H, W) of a sample shape."""
    return {2: (*shape[1:], 1, 1), 3: (1, *shape[1:]), 4: shape[1:]}[len(shape)]


def covered(shape, patch):
    """For every token, in order, the places of its elements in the sample or beyond it."""
    axes = volume(shape)
    patches = [1 if size == 1 else patch for size in axes]
    for cell in itertools.product(*(range(math.ceil(size / p)) for size, p in zip(axes, patches, strict=True))):
        starts = [c * p for c, p in zip(cell, patches, strict=True)]
        local = itertools.product(*(range(p) for p in patches))
        yield [tuple(s + i for s, i in zip(starts, place, strict=True)) for place in local]


@every_case
def test_grid_and_token_size(shape, patch):
    patches = Patches(shape, patch)
    assert patches.grid == tuple(1 if size == 1 else math.ceil(size / patch) for size in volume(shape))
    assert patches.token_dim == shape[0] * patch ** sum(size > 1 for size in volume(shape))
    assert patches.patchify(random(5, *shape)).shape == (5, math.prod(patches.grid), patches.token_dim)
    assert patches.unpatchify(random(5, math.prod(patches.grid), patches.token_dim)).shape == (5, *shape)


@every_case
def test_unpatchify_inverts_patchify(shape, patch):
    patches, samples = Patches(shape, patch), random(3, *shape)
    assert torch.equal(patches.unpatchify(patches.patchify(samples)), samples)


@given(st.data())
def test_unpatchify_inverts_patchify_for_any_shape(data):
    patch = data.draw(st.integers(1, 5), label="patch")
    cells = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3), label="patches of each axis; 0: length 1")
    short = data.draw(st.integers(0, patch - 1), label="elements that the last patch lacks")
    shape = (data.draw(st.integers(1, 3), label="channels"), *(max(1, patch * n - short) for n in cells))
    multiple = data.draw(st.integers(1, 3), label="multiple")
    assume(not patch > max(shape[1:]) > 1)  # larger than the sample: refused
    patches, samples = Patches(shape, patch, multiple=multiple), random(2, *shape)
    assert all(count == 1 or count % multiple == 0 for count in patches.grid)
    assert torch.equal(patches.unpatchify(patches.patchify(samples)), samples)


@every_case
def test_patches_hold_the_right_elements(shape, patch):
    samples = torch.arange(2.0 * math.prod(shape)).view(2, *shape)
    tokens = Patches(shape, patch).patchify(samples)
    inside = samples.view(2, shape[0], *volume(shape))
    for token, elements in enumerate(covered(shape, patch)):
        expected = []
        for channel in range(shape[0]):
            for place in elements:  # beyond the border, the border repeats
                t, h, w = (min(p, size - 1) for p, size in zip(place, volume(shape), strict=True))
                expected.append(inside[:, channel, t, h, w])
        assert torch.equal(tokens[:, token], torch.stack(expected, 1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_type(dtype):
    patches = Patches((1, 8, 8), 4)
    tokens = patches.patchify(random(1, 1, 8, 8, dtype=dtype))
    assert tokens.dtype == patches.unpatchify(tokens).dtype == dtype


def test_the_patch_codec_is_without_weights_and_hands_samples_on():
    codec, samples = PatchCodec((1, 8, 8), 4), random(2, 1, 8, 8)
    assert codec.state_dict() == {}
    assert codec.identity
    assert codec.encode(samples) is samples
    assert codec.decode(samples) is samples


@pytest.mark.parametrize(
    ("shape", "patch", "message"),
    [
        ((1, 8, 12), 16, r"--codec\.patch_size 16 is larger than 8×12: choose at most 12$"),
        ((3,), 1, r"channels and one to three axes, not the shape \(3,\)"),
        ((3, 2, 2, 2, 2), 2, "one to three axes"),
    ],
)
def test_errors_say_what_to_type(shape, patch, message):
    with pytest.raises(ValueError, match=message):
        PatchCodec(shape, patch)


def test_a_clips_patch_spans_its_own_number_of_frames():
    clips = random(2, 1, 4, 6, 6)
    patches = Patches((1, 4, 6, 6), 3, patch_frames=2)
    assert patches.grid == (2, 2, 2)
    assert patches.token_dim == 2 * 3 * 3
    tokens = patches.patchify(clips)
    assert torch.equal(tokens[:, 0].view(2, 2, 3, 3), clips[:, 0, :2, :3, :3])
    assert torch.equal(patches.unpatchify(tokens), clips)
    assert Patches((1, 4, 6, 6), 3, patch_frames=3).grid == (2, 2, 2)
    with pytest.raises(ValueError, match=r"--codec\.patch_frames 5 is more than a clip's frames: choose at most 4$"):
        Patches((1, 4, 6, 6), 3, patch_frames=5)
    with pytest.raises(ValueError, match="has no effect on samples without frames"):
        Patches((1, 6, 6), 3, patch_frames=2)
