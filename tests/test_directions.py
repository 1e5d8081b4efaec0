import pytest
import torch
from torch import nn

from sparring.data.conditions import Classes, Unconditional
from sparring.directions import SAMPLES, directions
from sparring.models.generator import Generator


class Linear(nn.Module):
    """A generator whose derivative is known: tokens = A z."""

    condition, num_tokens = Unconditional(), 1

    def __init__(self, matrix):
        super().__init__()
        self.matrix = nn.Parameter(matrix)
        self.z_size = matrix.shape[1]

    def forward(self, z, condition):
        return (z @ self.matrix.T).unflatten(1, (-1, 2))


def test_of_a_linear_generator_they_are_its_singular_vectors():
    random = torch.Generator().manual_seed(0)
    u = torch.linalg.qr(torch.randn(20, 3, generator=random))[0]
    v = torch.linalg.qr(torch.randn(9, 3, generator=random))[0]
    found = directions(Linear(u @ torch.diag(torch.tensor([30.0, 10.0, 3.0])) @ v.T), 3)
    assert torch.allclose(found @ found.T, torch.eye(3), atol=1e-5)
    assert ((found * v.T).sum(1).abs() > 0.99).all()


def test_generators_move_further_along_the_first_than_along_the_last_or_a_random_one():
    torch.manual_seed(0)
    generator = Generator(
        (1, 4, 4), 4, width=16, depth=2, num_heads=2, condition=Classes(("a", "b", "c")), z_dim=4, noise_dim=4
    )
    for block in generator.blocks:
        for parameter in block.parameters():
            nn.init.normal_(parameter, std=0.3)
    found = directions(generator, 40)
    assert torch.equal(found, directions(generator, 40))
    z, labels = torch.randn(64, generator.z_size), torch.arange(64) % 3
    random = nn.functional.normalize(torch.randn(64, generator.z_size), dim=1)
    with torch.no_grad():
        moved = [
            (generator(z + 0.1 * d, labels) - generator(z, labels)).square().mean()
            for d in (found[0], found[-1], random)
        ]
    assert moved[0] > 2 * moved[2] > 2 * moved[1]


@pytest.mark.parametrize(
    ("limits", "samples", "most"),
    [({}, SAMPLES, 64), ({"BATCH_NUMBERS": 100}, SAMPLES, 5), ({"WORK": 180 * 90, "BATCH_WORK": 180 * 7}, 90, 7),
     ({"WORK": 1, "BATCH_WORK": 1}, 12, 1)],
)  # fmt: skip
def test_large_samples_and_models_take_small_batches_and_few_samples(monkeypatch, limits, samples, most):
    for name, limit in limits.items():
        monkeypatch.setattr(f"sparring.directions.{name}", limit)
    generator, batches = Linear(torch.randn(20, 9)), []
    generator.register_forward_hook(lambda _, inputs, __: batches.append(len(inputs[0])))
    directions(generator, 3)
    assert (sum(batches[1:]), max(batches)) == (samples, most)  # the first says how large a sample is


def test_they_can_be_given_up_between_two_batches():
    calls = []

    def between():
        calls.append(None)
        if len(calls) == 3:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        directions(Linear(torch.randn(20, 9)), 3, between=between)
