import pytest
import torch
from torch import nn

from sparring.config import OptimConfig
from sparring.files import load_tensors, save_tensors
from sparring.training.optim import make_optimizer, set_lr
from sparring.training.state import flatten, restore, under


def players(seed):
    """Two networks with buffers, and their optimisers."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        modules = {
            "generator": nn.Sequential(nn.Linear(3, 6), nn.BatchNorm1d(6), nn.SiLU(), nn.Linear(6, 2)),
            "discriminator": nn.Sequential(nn.Linear(2, 5), nn.SiLU(), nn.Linear(5, 1)),
        }
    optimizers = {name: make_optimizer(module, 1e-2, OptimConfig()) for name, module in modules.items()}
    return modules, optimizers


def play(modules, optimizers, steps, seed):
    noise = torch.Generator().manual_seed(seed)
    for step in range(steps):
        for optimizer in optimizers.values():
            set_lr(optimizer, 1e-2 / (1 + step))
            z = torch.randn(8, 3, generator=noise)
            modules["discriminator"](modules["generator"](z)).square().sum().backward()
            optimizer.step()
            for module in modules.values():
                module.zero_grad()


def same(first, second):
    return all(
        torch.equal(value, second[name].state_dict()[key])
        for name, module in first.items()
        for key, value in module.state_dict().items()
    )


def copied(tensors):
    return {name: tensor.clone() for name, tensor in tensors.items()}


@pytest.mark.parametrize("through_a_file", [False, True])
@pytest.mark.parametrize("steps", [0, 1, 5])
def test_restored_players_go_on_bit_for_bit(tmp_path, steps, through_a_file):
    modules, optimizers = players(0)
    play(modules, optimizers, steps, seed=1)
    tensors = copied(flatten(modules, optimizers))
    if through_a_file:
        save_tensors(tmp_path / "a.safetensors", tensors, {})
        tensors, _ = load_tensors(tmp_path / "a.safetensors")
    others, other_optimizers = players(7)
    play(others, other_optimizers, 3, seed=8)  # a past of their own, which must leave no trace
    assert not same(modules, others)
    restore(tensors, others, other_optimizers)
    assert same(modules, others)
    play(modules, optimizers, 4, seed=2)
    play(others, other_optimizers, 4, seed=2)
    assert same(modules, others)
    assert flatten(modules, optimizers).keys() == flatten(others, other_optimizers).keys()
    for name, value in flatten(modules, optimizers).items():
        assert torch.equal(value, flatten(others, other_optimizers)[name]), name


def test_the_optimisers_state_matters():
    modules, optimizers = players(0)
    play(modules, optimizers, 5, seed=1)
    tensors = copied(flatten(modules, optimizers))
    others, other_optimizers = players(7)
    restore({name: t for name, t in tensors.items() if not name.startswith("optimizer.")}, others, other_optimizers)
    play(modules, optimizers, 1, seed=2)
    play(others, other_optimizers, 1, seed=2)
    assert not same(modules, others)


def test_restoring_leaves_the_tensors_alone():
    modules, optimizers = players(0)
    play(modules, optimizers, 2, seed=1)
    tensors = copied(flatten(modules, optimizers))
    kept = copied(tensors)
    others, other_optimizers = players(7)
    restore(tensors, others, other_optimizers)
    play(others, other_optimizers, 3, seed=2)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in tensors.items())
    restore(tensors, others, other_optimizers)  # a second time, as a roll-back does
    assert same(others, modules)


def test_names_say_whose_a_tensor_is():
    modules, optimizers = players(0)
    fresh = flatten(modules, optimizers)
    assert fresh.keys() == {f"{name}.{key}" for name, module in modules.items() for key in module.state_dict()}
    play(modules, optimizers, 1, seed=1)
    tensors = flatten(modules, optimizers)
    places = {name: len(list(module.parameters())) for name, module in modules.items()}
    assert tensors.keys() - fresh.keys() == {
        f"optimizer.{name}.{index}.{entry}"
        for name, count in places.items()
        for index in range(count)
        for entry in ("step", "exp_avg", "exp_avg_sq")
    }
    assert all(isinstance(tensor, torch.Tensor) for tensor in tensors.values())


CHANGES = {
    "missing": (r"generator\.0\.weight is missing", lambda t: t.pop("generator.0.weight")),
    "additional": (
        r"discriminator\.9\.weight is unknown",
        lambda t: t.update({"discriminator.9.weight": torch.zeros(1)}),
    ),
    "shape": (
        r"generator\.0\.weight is 6×4 of float32, not 6×3 of float32",
        lambda t: t.update({"generator.0.weight": torch.zeros(6, 4)}),
    ),
    "type": (
        r"generator\.0\.weight is 6×3 of float64, not 6×3 of float32",
        lambda t: t.update({"generator.0.weight": torch.zeros(6, 3, dtype=torch.float64)}),
    ),
    "optimiser's shape": (
        r"optimizer\.generator\.1\.exp_avg belongs to no parameter",
        lambda t: t.update({"optimizer.generator.1.exp_avg": torch.zeros(())}),
    ),
    "optimiser's place": (
        r"optimizer\.generator\.77\.exp_avg belongs to no parameter",
        lambda t: t.update({"optimizer.generator.77.exp_avg": torch.zeros(6)}),
    ),
    "optimiser's entry": (
        r"optimizer\.generator\.\d lacks a tensor",
        lambda t: t.pop("optimizer.generator.1.exp_avg"),
    ),
    "optimiser": (
        r"optimizer\.discriminator is missing",
        lambda t: [t.pop(name) for name in [*t] if name.startswith("optimizer.discriminator.")],
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_state_that_does_not_fit_is_refused_and_changes_nothing(change):
    modules, optimizers = players(0)
    play(modules, optimizers, 2, seed=1)
    tensors = copied(flatten(modules, optimizers))
    says, damage = CHANGES[change]
    damage(tensors)
    others, other_optimizers = players(1)
    with pytest.raises(ValueError, match=says):
        restore(tensors, others, other_optimizers, begun=True)
    assert same(others, players(1)[0])
    assert not any(optimizer.state_dict()["state"] for optimizer in other_optimizers.values())


def test_under_takes_whole_prefixes():
    tensors = {
        "ema.a": torch.tensor(1),
        "ema.ema.a": torch.tensor(2),
        "emanon": torch.tensor(3),
        "b.ema.c": torch.tensor(4),
    }
    assert {name: int(tensor) for name, tensor in under(tensors, "ema.").items()} == {"a": 1, "ema.a": 2}
