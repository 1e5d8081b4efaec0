"""The patch codec against indexing by hand."""

import itertools
import math

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from sparring.codecs.patch import PatchCodec


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# (sample shape, patch size, overlap): series, images and videos
CASES = [
    ((1, 12), 4, 0),
    ((2, 12), 4, 1),
    ((1, 12), 4, 2),
    ((2, 1), 1, 0),
    ((3, 8, 8), 4, 0),
    ((3, 8, 12), 4, 1),
    ((1, 8, 4), 4, 2),
    ((2, 6, 9), 3, 1),
    ((1, 5, 7), 1, 0),
    ((2, 4, 4, 6), 2, 0),
    ((2, 4, 4, 6), 2, 1),
    ((3, 1, 8, 8), 4, 2),
    ((1, 1, 1, 8), 4, 1),
    ((1, 6, 1, 1), 3, 1),
    # sides that come out uneven
    ((2, 11), 4, 0),
    ((1, 13), 4, 2),
    ((3, 7, 10), 4, 0),
    ((2, 7, 2), 4, 1),
    ((2, 3, 5, 7), 2, 0),
]
every_case = pytest.mark.parametrize(("shape", "patch", "overlap"), CASES)


def volume(shape):
    """(T, H, W) of a sample shape."""
    return {2: (*shape[1:], 1, 1), 3: (1, *shape[1:]), 4: shape[1:]}[len(shape)]


def covered(shape, patch, overlap):
    """For every token, in order, the (place in its patch, place in the sample or outside it) of its elements."""
    axes = volume(shape)
    patches = [1 if size == 1 else patch for size in axes]
    more = [0 if size == 1 else overlap for size in axes]
    for cell in itertools.product(*(range(math.ceil(size / p)) for size, p in zip(axes, patches, strict=True))):
        starts = [c * p - o for c, p, o in zip(cell, patches, more, strict=True)]
        local = itertools.product(*(range(p + 2 * o) for p, o in zip(patches, more, strict=True)))
        yield [(place, tuple(s + i for s, i in zip(starts, place, strict=True))) for place in local]


@every_case
def test_grid_and_token_size(shape, patch, overlap):
    codec = PatchCodec(shape, patch, overlap)
    assert codec.grid == tuple(1 if size == 1 else math.ceil(size / patch) for size in volume(shape))
    longer = sum(size > 1 for size in volume(shape))
    assert codec.token_dim == shape[0] * (patch + 2 * overlap) ** longer
    assert codec.encode(random(5, *shape)).shape == (5, math.prod(codec.grid), codec.token_dim)
    assert codec.decode(random(5, math.prod(codec.grid), codec.token_dim)).shape == (5, *shape)


@every_case
def test_decode_inverts_encode(shape, patch, overlap):
    codec, samples = PatchCodec(shape, patch, overlap), random(3, *shape)
    decoded = codec.decode(codec.encode(samples))
    if overlap:
        torch.testing.assert_close(decoded, samples, atol=1e-6, rtol=1e-6)
    else:
        assert torch.equal(decoded, samples)


@given(st.data())
def test_decode_inverts_encode_for_any_shape(data):
    patch = data.draw(st.integers(1, 5), label="patch")
    overlap = data.draw(st.integers(0, patch // 2), label="overlap")
    cells = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=3), label="patches of each axis; 0: length 1")
    short = data.draw(st.integers(0, patch - 1), label="elements that the last patch lacks")
    shape = (data.draw(st.integers(1, 3), label="channels"), *(max(1, patch * n - short) for n in cells))
    multiple = data.draw(st.integers(1, 3), label="multiple")
    assume(not patch > max(shape[1:]) > 1)  # larger than the sample: refused
    codec, samples = PatchCodec(shape, patch, overlap, multiple=multiple), random(2, *shape)
    assert all(count == 1 or count % multiple == 0 for count in codec.grid)
    torch.testing.assert_close(codec.decode(codec.encode(samples)), samples, atol=1e-6, rtol=1e-6)


@every_case
def test_patches_hold_the_right_elements(shape, patch, overlap):
    samples = torch.arange(2.0 * math.prod(shape)).view(2, *shape)
    tokens = PatchCodec(shape, patch, overlap).encode(samples)
    inside = samples.view(2, shape[0], *volume(shape))
    for token, elements in enumerate(covered(shape, patch, overlap)):
        expected = []
        for channel in range(shape[0]):
            for _, place in elements:  # beyond the border, the border repeats
                t, h, w = (min(max(p, 0), size - 1) for p, size in zip(place, volume(shape), strict=True))
                expected.append(inside[:, channel, t, h, w])
        assert torch.equal(tokens[:, token], torch.stack(expected, 1))


def contributions(shape, patch, overlap, tokens):
    """{(channel, t, h, w): [(weight, value), ...]} of one sample's tokens, weights not yet normalised."""
    extent = [1 if size == 1 else patch + 2 * overlap for size in volume(shape)]
    values = tokens.view(len(tokens), shape[0], *extent)
    found = {}
    for token, elements in enumerate(covered(shape, patch, overlap)):
        for local, place in elements:
            if any(not 0 <= p < size for p, size in zip(place, volume(shape), strict=True)):
                continue
            weight = 1.0
            for i, size in zip(local, extent, strict=True):
                if size > 1 and overlap:
                    weight *= min(1.0, min(i + 0.5, size - i - 0.5) / (2 * overlap))
            for channel in range(shape[0]):
                value = float(values[(token, channel, *local)])
                found.setdefault((channel, *place), []).append((weight, value))
    return found


@every_case
def test_disagreeing_patches_are_blended_by_a_convex_combination(shape, patch, overlap):
    codec = PatchCodec(shape, patch, overlap)
    tokens = random(math.prod(codec.grid), codec.token_dim)
    decoded = codec.decode(tokens[None])[0].view(shape[0], *volume(shape))
    found = contributions(shape, patch, overlap, tokens)
    assert len(found) == decoded.numel()
    for place, parts in found.items():
        value = float(decoded[place])
        values = [value for _, value in parts]
        assert min(values) - 1e-5 <= value <= max(values) + 1e-5
        total = sum(weight for weight, _ in parts)
        assert value == pytest.approx(sum(weight * value for weight, value in parts) / total, abs=1e-5)


def test_the_blend_falls_linearly_from_one_patch_to_the_next():
    codec = PatchCodec((1, 12), 4, 2)
    tokens = torch.stack([torch.full((8,), value) for value in (0.0, 8.0, 0.0)])[None]
    assert codec.decode(tokens).flatten().tolist() == pytest.approx([0, 0, 1, 3, 5, 7, 7, 5, 3, 1, 0, 0])
    codec = PatchCodec((1, 12), 4, 1)
    tokens = torch.stack([torch.full((6,), value) for value in (0.0, 4.0, 0.0)])[None]
    assert codec.decode(tokens).flatten().tolist() == pytest.approx([0, 0, 0, 1, 3, 4, 4, 3, 1, 0, 0, 0])


def test_weights_sum_to_one_away_from_the_border():
    for patch, overlap in [(4, 1), (4, 2), (6, 2), (5, 2)]:
        total = PatchCodec((1, 3 * patch, 3 * patch), patch, overlap).total_weight
        middle = slice(overlap, 3 * patch - overlap)
        inside = total.squeeze()[middle, middle]
        torch.testing.assert_close(inside, torch.ones_like(inside))


def test_every_token_number_gets_a_gradient_that_adds_up():
    codec = PatchCodec((2, 8, 8), 4, 1)
    tokens = random(1, 4, codec.token_dim).requires_grad_()
    codec.decode(tokens).sum().backward()
    # each element of the sample is a combination with weights that sum to one
    assert float(tokens.grad.sum()) == pytest.approx(2 * 64, rel=1e-5)
    assert (tokens.grad >= 0).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_keeps_the_type(dtype):
    codec = PatchCodec((1, 8, 8), 4, 1)
    tokens = codec.encode(random(1, 1, 8, 8, dtype=dtype))
    assert tokens.dtype == codec.decode(tokens).dtype == dtype


def test_is_without_weights():
    assert PatchCodec((1, 8, 8), 4, 2).state_dict() == {}


@pytest.mark.parametrize(
    ("shape", "patch", "overlap", "message"),
    [
        ((1, 8, 12), 16, 0, r"--codec\.patch_size 16 is larger than 8×12: choose at most 12$"),
        ((3, 8, 8), 4, 3, r"--codec\.overlap 3 is more than half the patch size 4: choose at most 2$"),
        ((3, 8, 8), 1, 1, r"--codec\.overlap 1 .* choose at most 0$"),
        ((3,), 1, 0, r"one to three axes beside its channels, not the shape \(3,\)"),
        ((3, 2, 2, 2, 2), 2, 0, "one to three axes"),
    ],
)
def test_errors_say_what_to_type(shape, patch, overlap, message):
    with pytest.raises(ValueError, match=message):
        PatchCodec(shape, patch, overlap)


def test_a_clips_patch_spans_its_own_number_of_frames():
    clips = random(2, 1, 4, 6, 6)
    codec = PatchCodec((1, 4, 6, 6), 3, overlap=1, patch_frames=2)
    assert codec.grid == (2, 2, 2)
    assert codec.token_dim == 2 * 5 * 5
    tokens = codec.encode(clips)
    assert torch.equal(tokens[:, 0].view(2, 2, 5, 5)[:, :, 1:4, 1:4], clips[:, 0, :2, :3, :3])
    torch.testing.assert_close(codec.decode(tokens), clips)
    assert PatchCodec((1, 4, 6, 6), 3, patch_frames=3).grid == (2, 2, 2)
    with pytest.raises(ValueError, match=r"--codec\.patch_frames 5 is more than a clip has: choose at most 4$"):
        PatchCodec((1, 4, 6, 6), 3, patch_frames=5)
    with pytest.raises(ValueError, match="has no effect on samples without frames"):
        PatchCodec((1, 6, 6), 3, patch_frames=2)
