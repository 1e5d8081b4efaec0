"""R1/R2 against closed forms and numeric differences."""

import math

import pytest
import torch

from sparring.data.conditions import Classes
from sparring.models.attention import MATH_TOKENS, MultiHeadAttention, attention_backend
from sparring.models.discriminator import Discriminator
from sparring.models.positions import rotary_angles
from sparring.penalties import exact_penalty, finite_difference_penalty


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_of_a_linear_critic_is_half_its_squared_weights():
    weights = random(2, 3, 4)
    penalty = exact_penalty(lambda x: (x * weights).flatten(1).sum(1) + 5, random(6, 2, 3, 4, seed=1))
    torch.testing.assert_close(penalty, torch.full((6,), float(weights.square().sum()) / 2, dtype=torch.float64))


def test_of_a_quadratic_critic_is_half_its_squared_slope_at_each_sample():
    matrix, samples = random(4, 4), random(5, 4, seed=1)
    matrix.requires_grad_()
    penalty = exact_penalty(lambda x: torch.einsum("bi,ij,bj->b", x, matrix, x) / 2, samples)
    slopes = samples @ (matrix + matrix.T) / 2
    torch.testing.assert_close(penalty, slopes.square().sum(1) / 2)
    # d/dA of |S x|^2 / 2 with S = (A + A^T) / 2 is the symmetric part of (S x) x^T
    (gradient,) = torch.autograd.grad(penalty.sum(), matrix)
    outer = torch.einsum("bi,bj->ij", slopes, samples).detach()
    torch.testing.assert_close(gradient, (outer + outer.T) / 2)


def test_is_differentiable_in_the_critics_weights():
    samples = random(3, 4)

    def penalty(first, bias, second):
        return exact_penalty(lambda x: torch.tanh(x @ first + bias) @ second, samples)

    weights = [random(*shape, seed=seed).requires_grad_() for seed, shape in enumerate([(4, 5), (5,), (5,)], 1)]
    assert torch.autograd.gradcheck(penalty, weights)


def test_leaves_samples_alone_and_sends_nothing_into_the_generator():
    source = random(3, 4).requires_grad_()
    fakes = source * 2
    critic = torch.nn.Linear(4, 1).double()
    exact_penalty(lambda x: critic(x).tanh().squeeze(1), fakes).sum().backward()
    assert source.grad is None
    assert critic.weight.grad.abs().sum() > 0
    real = random(3, 4)
    exact_penalty(lambda x: critic(x).squeeze(1), real)
    assert not real.requires_grad


def test_finite_difference_by_hand():
    penalty = finite_difference_penalty(torch.tensor([1.0, 2.0]), torch.tensor([1.5, 2.0]), 0.1)
    torch.testing.assert_close(penalty, torch.tensor([12.5, 0.0]))
    half = finite_difference_penalty(torch.ones(2, dtype=torch.bfloat16), torch.zeros(2, dtype=torch.bfloat16), 1.0)
    assert half.dtype == torch.float32


# ---- finite differences against the exact penalty on a real discriminator -------------------------------------------

GRID, TOKEN_DIM, BATCH = (1, 2, 4), 2, 3
SIZE = math.prod(GRID) * TOKEN_DIM
LABELS = torch.tensor([0, 2, 1])


def small_discriminator(stem=0):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Discriminator(
            GRID, TOKEN_DIM, width=16, depth=2, num_heads=2, condition=Classes(("a", "b", "c")), mlp_ratio=2.0,
            layer_scale=0.5, stem=stem,
        )  # fmt: skip


def estimates(critic, samples, directions, epsilon=0.01):
    """The finite-difference penalty for each direction (K, *shape), averaged over the batch: (K,)."""
    near = samples + epsilon * directions[:, None]  # (K, B, ...)
    logits = critic(samples, LABELS)
    logits_near = critic(near.flatten(0, 1), LABELS.repeat(len(directions))).view(-1, BATCH)
    return finite_difference_penalty(logits.expand(len(directions), -1), logits_near, epsilon).mean(1)


def weights_gradient(value, critic):
    found = torch.autograd.grad(value, list(critic.parameters()), allow_unused=True)
    parts = zip(found, critic.parameters(), strict=True)
    return torch.cat([(torch.zeros_like(p) if g is None else g).flatten() for g, p in parts])


def exact(critic, samples):
    with attention_backend("math"):
        value = exact_penalty(lambda x: critic(x, LABELS), samples).mean()
        return float(value.detach()), weights_gradient(value, critic)


# Where a step crosses the kink of a stem's leaky ReLU, the finite difference sees it and the exact second derivative
# does not; so the step is smaller there.
@pytest.mark.parametrize(("stem", "epsilon"), [(0, 0.01), (0, 0.003), (1, 0.003)])
def test_finite_differences_agree_along_all_axes(stem, epsilon):
    # The 2n directions ±sqrt(n) e_i have the second moments of a standard normal, so their mean is the expectation up
    # to O(epsilon^2), without any noise of sampling.
    critic, samples = small_discriminator(stem), random(BATCH, math.prod(GRID), TOKEN_DIM, dtype=torch.float32)
    axes = math.sqrt(SIZE) * torch.eye(SIZE).view(SIZE, math.prod(GRID), TOKEN_DIM)
    estimate = estimates(critic, samples, torch.cat([axes, -axes]), epsilon).mean()
    value, gradient = exact(critic, samples)
    assert value > 0.01
    assert float(estimate.detach()) == pytest.approx(value, rel=2e-3)
    error = weights_gradient(estimate, critic) - gradient
    assert error.norm() < 0.01 * gradient.norm()


def test_finite_differences_agree_in_expectation_over_normal_directions():
    critic, samples = small_discriminator(), random(BATCH, math.prod(GRID), TOKEN_DIM, dtype=torch.float32)
    chunks, draws = 24, 128
    directions = random(chunks, draws, math.prod(GRID), TOKEN_DIM, seed=3, dtype=torch.float32)
    values, slopes = [], []
    for chunk in directions:
        estimate = estimates(critic, samples, chunk)
        values.append(estimate.detach())
        slopes.append(weights_gradient(estimate.mean(), critic))
    value, gradient = exact(critic, samples)
    drawn = torch.cat(values)
    standard_error = float(drawn.std()) / math.sqrt(len(drawn))
    assert standard_error < 0.03 * value  # else the next line says nothing
    assert abs(float(drawn.mean()) - value) < 4 * standard_error + 0.002 * value
    slope = torch.stack(slopes)
    standard_error = float(slope.var(0).sum().sqrt()) / math.sqrt(chunks)
    assert standard_error < 0.1 * gradient.norm()
    assert (slope.mean(0) - gradient).norm() < 3 * standard_error
    assert (0.9 * slope.mean(0) - gradient).norm() > standard_error  # a tenth would show


# ---- second derivatives through attention ---------------------------------------------------------------------------


def attention_critic(tokens=4, width=8):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        attention = MultiHeadAttention(width, 2, qk_norm=True).double()
    readout = random(tokens, width, seed=5)
    rotary = rotary_angles((1, 1, tokens), width // 2).double()

    def critic(x):
        return (attention(x, rotary) * readout).sum((1, 2))

    return attention, critic


def test_math_attention_matches_numeric_second_differences():
    attention, critic = attention_critic()
    samples, step = random(2, 4, 8, seed=7), 1e-4
    weights = list(attention.parameters())
    direction = [random(*weight.shape, seed=20 + index) for index, weight in enumerate(weights)]

    @torch.no_grad()
    def numeric_penalty():
        """1/2 |grad|^2 from central differences of the critic alone."""
        total = 0.0
        for index in range(samples[0].numel()):
            move = torch.zeros(samples[0].numel(), dtype=torch.float64)
            move[index] = step
            move = move.view_as(samples[0])
            total += float((((critic(samples + move) - critic(samples - move)) / (2 * step)) ** 2).sum()) / 2
        return total

    def moved(distance):
        with torch.no_grad():
            for weight, along in zip(weights, direction, strict=True):
                weight += distance * along
        value = numeric_penalty()
        with torch.no_grad():
            for weight, along in zip(weights, direction, strict=True):
                weight -= distance * along
        return value

    with attention_backend("math"):
        penalty = exact_penalty(critic, samples).sum()
        gradient = torch.autograd.grad(penalty, weights, allow_unused=True)  # the last bias moves no slope
        assert float(penalty.detach()) == pytest.approx(numeric_penalty(), rel=1e-6)
        slope = sum(float((g * d).sum()) for g, d in zip(gradient, direction, strict=True) if g is not None)
        assert slope == pytest.approx((moved(1e-4) - moved(-1e-4)) / 2e-4, rel=1e-5)


def test_math_attention_passes_gradgradcheck():
    _, critic = attention_critic(tokens=3, width=4)
    with attention_backend("math"):
        assert torch.autograd.gradgradcheck(critic, (random(1, 3, 4, seed=8).requires_grad_(),))


def test_fused_attention_refuses_the_second_derivative_on_the_cpu():
    """It raises; were it ever to answer, the answer would have to be math's."""
    attention, critic = attention_critic()
    samples = random(2, 4, 8, seed=7)
    with attention_backend("math"):
        expected = torch.autograd.grad(exact_penalty(critic, samples).sum(), attention.qkv.weight)[0]
    with attention_backend("fused"):
        penalty = exact_penalty(critic, samples).sum()
        try:
            (gradient,) = torch.autograd.grad(penalty, attention.qkv.weight)
        except RuntimeError as error:
            assert "not implemented" in str(error)  # noqa: PT017
        else:
            torch.testing.assert_close(gradient, expected)


def test_many_tokens_need_the_math_backend_named():
    tokens = MATH_TOKENS[torch.float32] + 1
    attention, critic = attention_critic(tokens=tokens, width=4)
    samples = random(1, tokens, 4, seed=9)
    with attention_backend("math"):
        exact_penalty(critic, samples).sum().backward()
    assert attention.qkv.weight.grad.isfinite().all()
    assert attention.qkv.weight.grad.abs().sum() > 0
