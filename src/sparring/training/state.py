"""The training state of modules and optimizers as named tensors."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn


def flatten(modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]) -> dict[str, Tensor]:
    """{"generator.blocks.0...": tensor, ..., "optimizer.generator.3.exp_avg_sq": tensor, ...}."""
    tensors = {f"{name}.{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            tensors.update({f"optimizer.{name}.{index}.{key}": torch.as_tensor(v) for key, v in state.items()})
    return tensors


def restore(
    tensors: Mapping[str, Tensor],
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
) -> None:
    """The inverse of `flatten`: loads the tensors into modules and optimizers."""
    for name, module in modules.items():
        module.load_state_dict(under(tensors, f"{name}."))
    for name, optimizer in optimizers.items():
        state: dict[int, dict[str, Any]] = {}
        for key, value in under(tensors, f"optimizer.{name}.").items():
            index, _, entry = key.partition(".")
            state.setdefault(int(index), {})[entry] = value.clone()
        optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, named without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
