"""Attention against float64 references written with loops."""

import math

import numpy as np
import pytest
import torch

from sparring.models.attention import (
    MATH_TOKENS,
    KVCache,
    MultiHeadAttention,
    attention_backend,
    attention_patterns,
    scaled_dot_product_attention,
)
from sparring.models.positions import Positions, rotary_angles


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def reference_attention(query, key, value, mask=None):
    """softmax(Q K^T / sqrt(d_k)) V of single matrices (N, D), (K, D), (K, D), one number at a time."""
    result = np.zeros((len(query), value.shape[1]))
    for n, q in enumerate(query):
        visible = [k for k in range(len(key)) if mask is None or mask[n][k]]
        scores = [sum(a * b for a, b in zip(q, key[k], strict=True)) / math.sqrt(len(q)) for k in visible]
        weights = [math.exp(score - max(scores)) for score in scores]
        for weight, k in zip(weights, visible, strict=True):
            result[n] += weight / sum(weights) * value[k]
    return result


MASKS = {
    "none": None,
    "causal": torch.ones(5, 5).tril().bool(),
    "itself": torch.eye(5).bool(),
    "first key": (torch.arange(5) == 0).expand(5, 5),
    "random": (random(5, 5, seed=9) > 0) | torch.eye(5).bool(),
}


@pytest.mark.parametrize("name", MASKS)
def test_formula(name):
    query, key, value = random(3, 2, 3, 5, 4)  # (B, H, N, D) each
    result = scaled_dot_product_attention(query, key, value, MASKS[name])
    for b in range(2):
        for h in range(3):
            parts = [x[b, h].numpy() for x in (query, key, value)]
            np.testing.assert_allclose(result[b, h].numpy(), reference_attention(*parts, MASKS[name]), atol=1e-12)


def test_formula_with_other_numbers_of_queries_keys_and_channels():
    query, key, value = random(3, 4, seed=1), random(7, 4, seed=2), random(7, 6, seed=3)
    mask = random(3, 7, seed=4) > -0.5
    expected = reference_attention(query.numpy(), key.numpy(), value.numpy(), mask)
    np.testing.assert_allclose(scaled_dot_product_attention(query, key, value, mask).numpy(), expected, atol=1e-12)


def test_masks_may_differ_between_samples():
    query, key, value = random(3, 2, 1, 5, 4)
    masks = torch.stack([MASKS["causal"], MASKS["random"]])[:, None]
    result = scaled_dot_product_attention(query, key, value, masks)
    for b in range(2):
        single = scaled_dot_product_attention(query[b], key[b], value[b], masks[b])
        torch.testing.assert_close(result[b], single)


def test_hidden_keys_have_no_influence():
    query, key, value = random(3, 5, 4)
    hidden = torch.tensor([True, True, False, True, False])
    mask = hidden.logical_not().expand(5, 5)
    result = scaled_dot_product_attention(query, key, value, mask)
    key[hidden], value[hidden] = 1e6, -1e6
    assert torch.equal(scaled_dot_product_attention(query, key, value, mask), result)
    visible = scaled_dot_product_attention(query, key[~hidden], value[~hidden])
    torch.testing.assert_close(result, visible)


def test_huge_scores_pick_the_best_key():
    query = torch.tensor([[1e4, 0.0]])
    key = torch.tensor([[1e4, 0.0], [-1e4, 0.0], [0.0, 1e4]])
    value = torch.tensor([[1.0], [2.0], [3.0]])
    assert scaled_dot_product_attention(query, key, value).tolist() == [[1.0]]


# ---- MultiHeadAttention ---------------------------------------------------------------------------------------------


def make_attention(width=12, num_heads=3, *, qk_norm, dtype=torch.float64):
    """Attention whose biases and gains are random too, so that all of them matter."""
    attention = MultiHeadAttention(width, num_heads, qk_norm=qk_norm).to(dtype)
    with torch.no_grad():
        for seed, weight in enumerate(attention.parameters()):
            weight.copy_(random(*weight.shape, seed=seed) * 0.5)
    return attention


def rms_normalized(vector, gain):
    return vector / math.sqrt(sum(v * v for v in vector) / len(vector) + 1e-6) * gain


def rotated_by_hand(vector, angles):
    half = len(vector) // 2
    result = np.zeros_like(vector)
    for i, angle in enumerate(angles):
        a, b = vector[i], vector[i + half]
        result[i] = a * math.cos(angle) - b * math.sin(angle)
        result[i + half] = a * math.sin(angle) + b * math.cos(angle)
    return result


def reference_multi_head(attention, x, angles):
    """x (N, width) as numpy; `angles` (N, D / 2) for the last tokens, or None."""
    state = {name: tensor.numpy() for name, tensor in attention.state_dict().items()}
    heads, width = attention.num_heads, x.shape[1]
    head_width = width // heads
    joined = np.zeros_like(x)
    for head in range(heads):
        rows = slice(head * head_width, (head + 1) * head_width)
        query, key, value = (
            x @ state["qkv.weight"][part * width : (part + 1) * width][rows].T
            + state["qkv.bias"][part * width : (part + 1) * width][rows]
            for part in range(3)
        )
        if "query_norm.weight" in state:
            query = np.stack([rms_normalized(q, state["query_norm.weight"]) for q in query])
            key = np.stack([rms_normalized(k, state["key_norm.weight"]) for k in key])
        if angles is not None:
            for place, angle in enumerate(angles, len(x) - len(angles)):
                query[place] = rotated_by_hand(query[place], angle)
                key[place] = rotated_by_hand(key[place], angle)
        joined[:, rows] = reference_attention(query, key, value)
    return joined @ state["project.weight"].T + state["project.bias"]


@pytest.mark.parametrize("qk_norm", [True, False])
@pytest.mark.parametrize("rotary", [True, False])
@pytest.mark.parametrize("extra", [0, 1])
def test_multi_head_attention_is_its_definition(qk_norm, rotary, extra):
    attention, x = make_attention(qk_norm=qk_norm), random(2, 6 + extra, 12, seed=42)
    # a row of 6 tokens, heads of width 4: two pairs, which turn by 1 and by 100^(-1/2) for each step
    angles = [[place, place * 100**-0.5] for place in range(6)] if rotary else None
    given = rotary_angles((1, 1, 6), 4).double() if rotary else None
    with torch.no_grad():
        result = attention(x, given)
    for sample, expected in zip(x, result, strict=True):
        reference = reference_multi_head(attention, sample.numpy(), angles)
        np.testing.assert_allclose(expected.numpy(), reference, atol=1e-6 if rotary else 1e-12)  # angles are float32


@pytest.mark.parametrize("num_tokens", [1, 5, MATH_TOKENS[torch.float32] + 1])
def test_backends_agree_in_value_and_gradient(num_tokens):
    attention, x = make_attention(qk_norm=True, dtype=torch.float32), random(2, num_tokens, 12, dtype=torch.float32)
    readout, rotary = random(*x.shape, seed=1, dtype=torch.float32), rotary_angles((1, 1, num_tokens), 4)
    results = {}
    for backend in ("math", "fused", "auto"):
        with attention_backend(backend):
            y = attention(x.requires_grad_(), rotary)
            results[backend] = [y, *torch.autograd.grad((y * readout).sum(), [x, *attention.parameters()])]
    sizes = [float(expected.detach().abs().max()) for expected in results["math"]]
    for backend in ("fused", "auto"):
        for result, expected, size in zip(results[backend], results["math"], sizes, strict=True):
            # A gradient of size 0 (a query's with one key) is by some backends what is left of rounding larger ones.
            torch.testing.assert_close(result, expected, atol=2e-5 * size + 1e-6 * max(sizes), rtol=1e-4)


def twice_differentiable(attention):
    x = random(1, 4, 12, dtype=torch.float32).requires_grad_()
    (gradient,) = torch.autograd.grad(attention(x, None).square().sum(), x, create_graph=True)
    try:
        torch.autograd.grad(gradient.sum(), x)
    except RuntimeError:
        return False
    return True


def test_the_backend_holds_within_its_block_only():
    attention = make_attention(qk_norm=True, dtype=torch.float32)
    assert twice_differentiable(attention)  # "auto" takes math for few tokens on a CPU
    with attention_backend("fused"):
        fused = twice_differentiable(attention)
        with attention_backend("math"):
            assert twice_differentiable(attention)
        assert twice_differentiable(attention) == fused
    with pytest.raises(KeyError), attention_backend("fused"):
        raise KeyError
    assert twice_differentiable(attention)


@pytest.mark.parametrize("qk_norm", [True, False])
def test_permutes_with_its_tokens_unless_they_have_places(qk_norm):
    attention, x = make_attention(qk_norm=qk_norm), random(2, 6, 12)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(attention(x[:, order], None), attention(x, None)[:, order])
    rotary = rotary_angles((1, 2, 3), 4).double()
    difference = attention(x[:, order], rotary) - attention(x, rotary)[:, order]
    assert difference.abs().max() > 1e-3


def test_qk_norm_bounds_the_scores_whatever_the_size_of_its_input():
    attention = make_attention(qk_norm=True)
    with torch.no_grad():
        attention.qkv.bias.zero_()
        x, value_rows = random(1, 6, 12), attention.qkv.weight[24:].clone()
        once = attention(x, None)
        attention.qkv.weight.mul_(1000)
        attention.qkv.weight[24:] = value_rows
        torch.testing.assert_close(attention(x, None), once, atol=1e-4, rtol=1e-4)


def test_samples_do_not_see_each_other():
    attention, x = make_attention(qk_norm=True), random(2, 6, 12)
    once = attention(x, None)[0]
    x[1] = 1e3
    torch.testing.assert_close(attention(x, None)[0], once)


def test_query_key_and_value_start_as_three_square_maps():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        attention = MultiHeadAttention(64, 4, qk_norm=True)
    limit = math.sqrt(6 / (64 + 64))  # Glorot & Bengio 2010, eq. 16
    for part in (*attention.qkv.weight.chunk(3), attention.project.weight):
        assert 0.97 * limit < part.abs().max() <= limit
    assert (attention.qkv.bias == 0).all()
    assert (attention.project.bias == 0).all()


@pytest.mark.parametrize("backend", ["math", "fused"])
def test_bfloat16_autocast_stays_close(backend):
    attention = make_attention(qk_norm=True, dtype=torch.float32)
    x, rotary = random(2, 6, 12, dtype=torch.float32), rotary_angles((1, 2, 3), 4)
    with torch.no_grad(), attention_backend(backend):
        exact = attention(x, rotary)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = attention(x, rotary)
    assert (rounded.float() - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize("extra", [0, 1])
@pytest.mark.parametrize("pattern", ["space", "time"])
def test_attention_along_space_or_time_is_full_attention_with_a_mask(pattern, extra):
    """Against attention over all tokens with a mask; frames of 6 places each, and a class token in front."""
    torch.manual_seed(0)
    frames, places = 4, 6
    attention = MultiHeadAttention(16, 2, pattern=pattern, frames=frames).double()
    x = torch.randn(3, extra + frames * places, 16, dtype=torch.float64)
    frame = torch.arange(frames).repeat_interleave(places)
    place = torch.arange(places).repeat(frames)
    group = frame if pattern == "space" else place
    mask = torch.ones(len(group) + extra, len(group) + extra, dtype=torch.bool)
    mask[extra:, extra:] = group[:, None] == group
    query, key, value = attention.qkv(x).view(3, -1, 3, 2, 8).permute(2, 0, 3, 1, 4)
    expected = scaled_dot_product_attention(attention.query_norm(query), attention.key_norm(key), value, mask)
    expected = attention.project(expected.transpose(1, 2).reshape(3, -1, 16))
    torch.testing.assert_close(attention(x, None), expected)


def test_only_large_grids_of_frames_are_factorised():
    assert attention_patterns((16, 8, 8), 3) == ["all"] * 3
    assert attention_patterns((16, 16, 16), 3) == ["space", "time", "space"]
    assert attention_patterns((1, 64, 64), 2) == ["all"] * 2
    assert attention_patterns((4096, 1, 1), 2) == ["all"] * 2


def test_a_causal_token_does_not_see_those_after_it():
    torch.manual_seed(0)
    attention, x = MultiHeadAttention(16, 2, pattern="causal").double(), torch.randn(2, 7, 16).double()
    changed = x.clone()
    changed[:, 4:] = 0
    before, after = attention(x, None), attention(changed, None)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert not torch.allclose(before[:, 4:], after[:, 4:])
    for place in range(7):  # full attention over what is there
        alone = MultiHeadAttention(16, 2).double()
        alone.load_state_dict(attention.state_dict())
        torch.testing.assert_close(before[:, place], alone(x[:, : place + 1], None)[:, place])


@pytest.mark.parametrize("backend", ["math", "fused"])
def test_tokens_one_after_the_other_with_their_past_are_as_all_at_once(backend):
    torch.manual_seed(0)
    attention, x = MultiHeadAttention(16, 2, pattern="causal").double(), torch.randn(3, 9, 16).double()
    rotary = Positions((9, 1, 1), 16, 8, added="none", rotary=True).rotary.double()
    with attention_backend(backend):
        whole, cache = attention(x, rotary), KVCache()
        parts = [attention(x[:, :4], rotary[:, :4], cache)]
        parts += [attention(x[:, i : i + 1], rotary[:, i : i + 1], cache) for i in range(4, 9)]
    torch.testing.assert_close(torch.cat(parts, 1), whole)
    with pytest.raises(ValueError, match="one token at a time"):
        attention(x[:, :2], rotary[:, :2], cache)
