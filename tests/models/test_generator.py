import math

import pytest
import torch
from torch import nn

from sparring.data.conditions import Classes, Unconditional, Vectors
from sparring.models.blocks import GeneratorBlock, SwiGLU
from sparring.models.generator import Generator
from sparring.models.positions import rotary_angles

TOKEN_DIM = 3
CASES = [
    ((1, 1, 1), 0),
    ((1, 4, 4), 0),
    ((1, 4, 4), 1),
    ((1, 4, 4), 2),
    ((3, 2, 2), 0),
    ((2, 4, 2), 1),
    ((6, 1, 1), 0),
    ((6, 1, 1), 1),
]
every_case = pytest.mark.parametrize(("grid", "stem"), CASES)
NOTHING, CLASSES = Unconditional(), Classes(("a", "b", "c"))
VECTORS = Vectors.fit(torch.randn(50, 2, generator=torch.Generator().manual_seed(5)))
CONDITIONS = {NOTHING: torch.zeros(3, dtype=torch.long), CLASSES: torch.tensor([2, 0, 1]), VECTORS: torch.randn(3, 2)}
conditions = pytest.mark.parametrize("condition", [NOTHING, CLASSES, VECTORS], ids=lambda condition: condition.kind)


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def make(grid=(1, 4, 4), seed=0, **changes):
    settings = {
        "width": 16, "depth": 2, "num_heads": 2, "z_dim": 5, "noise_dim": 4, "mlp_ratio": 2.0,
        "qk_norm": True, "positions": "learned", "rotary": True, "adaln_gain": 1.0, "gate_bias": 0.1, "stem": 0,
        "bounded": False,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Generator(grid, TOKEN_DIM, **settings | changes)


def draw(generator, num=3, seed=0):
    return random(num, generator.z_size, seed=seed)


LABELS = torch.tensor([2, 0, 1])


@every_case
@conditions
@pytest.mark.parametrize("noise_dim", [0, 4])
def test_shapes_and_a_gradient_for_every_parameter(grid, stem, condition, noise_dim):
    generator = make(grid, stem=stem, condition=condition, noise_dim=noise_dim)
    assert generator.num_tokens == math.prod(grid) // 2 ** (stem * sum(size > 1 for size in grid))
    assert generator.z_size == 5 + generator.num_tokens * noise_dim
    z = draw(generator).requires_grad_()
    tokens = generator(z, CONDITIONS[condition])
    assert tokens.shape == (3, math.prod(grid), TOKEN_DIM)
    assert tokens.isfinite().all()
    (tokens * random(*tokens.shape, seed=1)).sum().backward()
    assert (z.grad != 0).all()
    for name, parameter in generator.named_parameters():
        assert parameter.grad is not None, name
        if generator.num_tokens > 1 or not name.endswith(("query_norm.weight", "key_norm.weight")):
            assert parameter.grad.abs().sum() > 0, name  # among one token, attention has nothing to choose


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "none"])
@pytest.mark.parametrize("rotary", [True, False])
@pytest.mark.parametrize("qk_norm", [True, False])
def test_every_choice_of_positions_runs(positions, rotary, qk_norm):
    generator = make((3, 2, 2), positions=positions, rotary=rotary, qk_norm=qk_norm)
    tokens = generator(draw(generator))
    assert tokens.std() > 0.01
    assert tokens.isfinite().all()


def test_the_class_changes_the_tokens_and_samples_keep_their_own():
    generator = make(condition=CLASSES)
    z = draw(generator, 1).expand(3, -1)
    tokens = generator(z, torch.tensor([0, 1, 2]))
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert (tokens[a] - tokens[b]).abs().max() > 1e-3
    swapped = generator(z, torch.tensor([1, 0, 2]))
    torch.testing.assert_close(swapped, tokens[[1, 0, 2]])


def test_without_classes_labels_say_nothing():
    generator = make(condition=NOTHING)
    assert torch.equal(generator(draw(generator), LABELS), generator(draw(generator)))


def test_z_is_the_global_z_then_the_noise_of_each_token():
    generator = make()
    z = draw(generator)
    global_z, noise = generator.split(z)
    assert global_z.shape == (3, 5)
    assert noise.shape == (3, 16, 4)
    assert torch.equal(torch.cat([global_z, noise.flatten(1)], 1), z)
    assert torch.equal(noise[1, 2], z[1, 5 + 8 : 5 + 12])
    assert torch.equal(generator(z), generator.synthesize(generator.mapping(global_z, None), noise))


@pytest.mark.parametrize("change", [-1, 1])
def test_z_of_another_size_is_refused(change):
    generator = make()
    with pytest.raises(RuntimeError):
        generator(random(2, generator.z_size + change))


def test_all_of_z_matters():
    generator = make()
    z = draw(generator, 1)
    tokens = generator(z)
    for place in (0, 4, 5, generator.z_size - 1):
        moved = z.clone()
        moved[0, place] += 1
        assert (generator(moved) - tokens).abs().max() > 1e-3


def test_the_global_z_is_scaled_to_unit_mean_square():
    generator = make()
    z = draw(generator)
    scaled = torch.cat([7 * z[:, :5], z[:, 5:]], 1)
    torch.testing.assert_close(generator(scaled), generator(z), atol=1e-5, rtol=1e-4)


@every_case
@conditions
def test_samples_do_not_see_each_other(grid, stem, condition):
    generator = make(grid, stem=stem, condition=condition)
    z, labels = draw(generator), CONDITIONS[condition]
    once = generator(z, labels)
    z[1:] = 10 * draw(generator, seed=1)[1:]
    torch.testing.assert_close(generator(z, torch.cat([labels[:1], labels[:1], labels[:1]]))[0], once[0])
    torch.testing.assert_close(generator(z[:1], labels[:1]), once[:1])


def test_bounded_is_tanh_of_unbounded():
    bounded, free = make(bounded=True), make(bounded=False)
    z = draw(free)
    torch.testing.assert_close(bounded(z), free(z).tanh())


def rms_normalized(x):
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


def test_with_closed_gates_tokens_keep_to_themselves():
    generator = make(adaln_gain=0.0, gate_bias=0.0)
    z = draw(generator)
    w = generator.mapping(z[:, :5], None)
    x = generator.embed(z[:, 5:].view(3, 16, 4)) + generator.positions.added
    expected = generator.to_token(rms_normalized(x) * (1 + generator.scale(w)).view(3, 1, 16))
    torch.testing.assert_close(generator(z), expected)
    # ... so the noise of token 3 moves token 3 alone
    z[:, 5 + 3 * 4] += 1
    changed = (generator(z) - expected).abs().amax((0, 2)) > 1e-4
    assert changed.nonzero().flatten().tolist() == [3]


def test_block_is_its_formula():
    block = GeneratorBlock(12, 2, mlp_ratio=2.0, qk_norm=True, gain=1.0, gate_bias=0.1).double()
    x, w = random(2, 6, 12, dtype=torch.float64), random(2, 12, seed=1, dtype=torch.float64)
    rotary = rotary_angles((1, 2, 3), 6).double()
    modulation = (w @ block.modulation.weight.T + block.modulation.bias).view(2, 1, 4, 12)
    scale_a, gate_a, scale_m, gate_m = (modulation[:, :, i] for i in range(4))
    after = x + gate_a * block.attention(rms_normalized(x) * (1 + scale_a), rotary)
    after = after + gate_m * block.mlp(rms_normalized(after) * (1 + scale_m))
    torch.testing.assert_close(block(x, w, rotary), after)


def test_gates_start_ajar_and_scales_at_one():
    block = GeneratorBlock(12, 2, mlp_ratio=2.0, qk_norm=True, gain=0.0, gate_bias=0.3)
    modulation = block.modulation(random(5, 12)).view(5, 4, 12)
    for part, value in enumerate([0.0, 0.3, 0.0, 0.3]):
        assert (modulation[:, part] == torch.tensor(value)).all()


# Shazeer 2020, eq. 6
def test_swiglu():
    mlp, x = SwiGLU(8, 2.0).double(), random(3, 8, dtype=torch.float64)
    assert isinstance(mlp.expand, nn.Linear)
    first, second = mlp.expand.weight[:16], mlp.expand.weight[16:]
    with torch.no_grad():
        mlp.expand.bias.copy_(random(32, seed=2))
        a, b = x @ first.T + mlp.expand.bias[:16], x @ second.T + mlp.expand.bias[16:]
        expected = (a / (1 + torch.exp(-a)) * b) @ mlp.project.weight.T + mlp.project.bias
        torch.testing.assert_close(mlp(x), expected)


@pytest.mark.parametrize(
    ("width", "ratio", "hidden"), [(16, 8 / 3, 40), (64, 8 / 3, 168), (8, 0.25, 8), (64, 4.0, 256)]
)
def test_swiglus_hidden_width_is_a_multiple_of_eight(width, ratio, hidden):
    assert SwiGLU(width, ratio).project.in_features == hidden


@pytest.mark.parametrize("stem", [0, 1])
def test_bfloat16_autocast_stays_close(stem):
    generator = make(stem=stem, condition=CLASSES)
    z = draw(generator)
    with torch.no_grad():
        exact = generator(z, LABELS)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = generator(z, LABELS)
    assert (rounded.float() - exact).norm() < 0.03 * exact.norm()


def test_the_weights_are_all_in_the_state():
    first, second = make(condition=CLASSES, seed=0), make(condition=CLASSES, seed=1)
    z = draw(first)
    assert not torch.allclose(first(z, LABELS), second(z, LABELS))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(z, LABELS), second(z, LABELS))
