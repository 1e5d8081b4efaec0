import math

import pytest
import torch

from sparring.data.conditions import Classes, Unconditional, Vectors
from sparring.models.blocks import DiscriminatorBlock
from sparring.models.discriminator import Discriminator
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
LABELS = torch.tensor([2, 0, 1])


def random(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def make(grid=(1, 4, 4), seed=0, **changes):
    settings = {
        "width": 16, "depth": 2, "num_heads": 2, "mlp_ratio": 2.0, "qk_norm": True,
        "positions": "learned", "rotary": True, "layer_scale": 1.0, "stem": 0,
    }  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return Discriminator(grid, TOKEN_DIM, **settings | changes)


@every_case
@conditions
def test_one_logit_a_sample_and_a_gradient_for_every_parameter(grid, stem, condition):
    discriminator = make(grid, stem=stem, condition=condition)
    tokens = random(3, math.prod(grid), TOKEN_DIM).requires_grad_()
    logits = discriminator(tokens, CONDITIONS[condition])
    assert logits.shape == (3,)
    assert logits.dtype == torch.float32
    (logits * random(3, seed=1)).sum().backward()
    assert (tokens.grad != 0).any(-1).all()  # it looks at every token
    for name, parameter in discriminator.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_frames_that_are_apart_share_the_tokens_of_their_places():
    discriminator = make((3, 4, 4), stem=2, separate_frames=True)
    tokens = random(3, 3 * 16, TOKEN_DIM).requires_grad_()
    assert discriminator.features(tokens, torch.zeros(3, dtype=torch.long)).shape == (3, 1 + 1, 16)
    logits = discriminator(tokens)
    logits.sum().backward()
    assert (tokens.grad != 0).any(-1).all()
    other_order = tokens.detach().unflatten(1, (3, 16)).flip(1).flatten(1, 2)
    assert (discriminator(other_order) - logits).abs().min() > 1e-4
    whole = make((3, 4, 4), separate_frames=True)  # without a stem each is a token of its own
    assert whole.features(tokens, torch.zeros(3, dtype=torch.long)).shape == (3, 1 + 3 * 16, 16)


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "none"])
@pytest.mark.parametrize("rotary", [True, False])
@pytest.mark.parametrize("qk_norm", [True, False])
def test_every_choice_of_positions_runs(positions, rotary, qk_norm):
    discriminator = make((3, 2, 2), positions=positions, rotary=rotary, qk_norm=qk_norm)
    logits = discriminator(random(3, 12, TOKEN_DIM))
    assert logits.isfinite().all()
    assert logits.std() > 1e-4


@every_case
def test_logits_and_their_gradients_are_float32_under_bfloat16_autocast(grid, stem):
    discriminator = make(grid, stem=stem, condition=CLASSES)
    tokens = random(3, math.prod(grid), TOKEN_DIM)
    exact = discriminator(tokens, LABELS)
    with torch.autocast("cpu", torch.bfloat16):
        logits = discriminator(tokens, LABELS)
    assert logits.dtype == torch.float32
    assert (logits.bfloat16() != logits).any()  # not rounded at the end either
    torch.testing.assert_close(logits, exact, atol=0.05, rtol=0.05)
    logits.sum().backward()
    assert discriminator.head.weight.grad.dtype == torch.float32


def test_the_class_changes_the_logit():
    discriminator = make(condition=CLASSES)
    tokens = random(1, 16, TOKEN_DIM).expand(3, -1, -1)
    logits = discriminator(tokens, torch.tensor([0, 1, 2]))
    assert logits.unique().numel() == 3
    assert logits.std() > 1e-2
    torch.testing.assert_close(discriminator(tokens, torch.tensor([1, 0, 2])), logits[[1, 0, 2]])


@pytest.mark.parametrize("silenced", ["projection", "class_token"])
def test_the_class_enters_through_its_token_and_through_the_projection(silenced):
    discriminator = make(condition=CLASSES)
    with torch.no_grad():
        weight = getattr(discriminator, silenced).weight
        weight.copy_(weight[:1].expand(3, -1))
        logits = discriminator(random(1, 16, TOKEN_DIM).expand(3, -1, -1), torch.tensor([0, 1, 2]))
    assert logits.std() > 1e-3


# Miyato & Koyama 2018, eq. 5
@conditions
def test_the_logit_is_linear_in_the_final_tokens_plus_the_projection(condition):
    discriminator, seen = make(condition=condition), []
    discriminator.norm.register_forward_hook(lambda module, args, output: seen.append(output.detach()))
    told = CONDITIONS[condition]
    logits = discriminator(random(3, 16, TOKEN_DIM), told)
    for i, final in enumerate(seen[0]):
        assert final.shape == (17, 16)
        expected = final[0] @ discriminator.head.weight[0] + discriminator.head.bias[0]
        scores = final[1:].flatten() @ discriminator.token_head.weight.T + discriminator.token_head.bias
        expected = expected + scores[0]  # under any condition, and weighted by this one
        if condition is CLASSES:
            expected = expected + scores[1 + told[i]]
            expected = expected + final[0] @ discriminator.projection.weight[told[i]] / 4  # sqrt(width)
        if condition is VECTORS:
            standardized = (told[i] - torch.tensor(VECTORS.mean)) / torch.tensor(VECTORS.scale) / 2**0.5
            embedded = discriminator.projection.linear(standardized)
            expected = expected + scores[1:] @ standardized + final[0] @ embedded / 4
        torch.testing.assert_close(logits[i], expected)


def test_no_label_is_label_zero():
    for condition in (NOTHING, CLASSES):
        discriminator, tokens = make(condition=condition), random(3, 16, TOKEN_DIM)
        assert torch.equal(discriminator(tokens), discriminator(tokens, torch.zeros(3, dtype=torch.long)))


@every_case
@conditions
def test_samples_do_not_see_each_other(grid, stem, condition):
    discriminator = make(grid, stem=stem, condition=condition)
    tokens, labels = random(3, math.prod(grid), TOKEN_DIM), CONDITIONS[condition]
    once = discriminator(tokens, labels)
    torch.testing.assert_close(discriminator(tokens[:1], labels[:1]), once[:1])
    tokens[1:] *= -5
    changed = discriminator(tokens, labels)
    torch.testing.assert_close(changed[0], once[0])
    assert (changed[1:] - once[1:]).abs().min() > 1e-4


def test_block_is_its_formula():
    block = DiscriminatorBlock(12, 2, mlp_ratio=2.0, qk_norm=True, layer_scale=0.5).double()
    x, rotary = random(2, 7, 12, dtype=torch.float64), rotary_angles((1, 2, 3), 6).double()
    with torch.no_grad():
        for seed, parameter in enumerate((block.attention_norm.weight, block.mlp_norm.weight)):
            parameter.copy_(random(12, seed=seed))

    def normalized(x, gain):
        return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt() * gain

    after = x + 0.5 * block.attention(normalized(x, block.attention_norm.weight), rotary)
    after = after + 0.5 * block.mlp(normalized(after, block.mlp_norm.weight))
    torch.testing.assert_close(block(x, rotary), after)


def test_the_weights_are_all_in_the_state():
    first, second = make(condition=CLASSES, seed=0), make(condition=CLASSES, seed=1)
    tokens = random(3, 16, TOKEN_DIM)
    assert not torch.allclose(first(tokens, LABELS), second(tokens, LABELS))
    second.load_state_dict(first.state_dict())
    assert torch.equal(first(tokens, LABELS), second(tokens, LABELS))
