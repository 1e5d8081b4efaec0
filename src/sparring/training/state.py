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
    *,
    begun: bool = False,
) -> None:
    """The inverse of `flatten`: loads the tensors into modules and optimizers.

    Raises `ValueError` for a tensor that is missing, additional or of another shape or type, and leaves them unchanged.
    If training has `begun`, each optimizer must have a state.
    """
    for name, module in modules.items():
        _compare(under(tensors, f"{name}."), module.state_dict(), name)
    states = {name: _optimizer_state(tensors, name, optimizer) for name, optimizer in optimizers.items()}
    if empty := [name for name, state in states.items() if begun and not state]:
        raise ValueError(f"optimizer.{empty[0]} is missing")
    for name, module in modules.items():
        module.load_state_dict(under(tensors, f"{name}."))
    for name, optimizer in optimizers.items():
        optimizer.load_state_dict({"state": states[name], "param_groups": optimizer.state_dict()["param_groups"]})


def under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose names start with `prefix`, named without it."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def _compare(stored: Mapping[str, Tensor], fresh: Mapping[str, Tensor], place: str) -> None:
    for name in stored.keys() ^ fresh.keys():
        raise ValueError(f"{place}.{name} is {'missing' if name in fresh else 'unknown'}")
    for name, tensor in stored.items():
        if (tensor.shape, tensor.dtype) != (fresh[name].shape, fresh[name].dtype):
            raise ValueError(f"{place}.{name} is {_describe(tensor)}, not {_describe(fresh[name])}")


def _optimizer_state(
    tensors: Mapping[str, Tensor], name: str, optimizer: torch.optim.Optimizer
) -> dict[int, dict[str, Any]]:
    """The stored state of an optimizer: the same entries for each parameter, of its shape but for `step`."""
    parameters = dict(enumerate(parameter for group in optimizer.param_groups for parameter in group["params"]))
    state: dict[int, dict[str, Any]] = {}
    for key, value in under(tensors, f"optimizer.{name}.").items():
        index, _, entry = key.partition(".")
        owner = parameters.get(int(index)) if index.isdecimal() else None
        if owner is None or value.shape != (torch.Size() if entry == "step" else owner.shape):
            raise ValueError(f"optimizer.{name}.{key} belongs to no parameter")
        state.setdefault(int(index), {})[entry] = value.clone()
    for place, entries in state.items():
        if entries.keys() != next(iter(state.values())).keys():
            raise ValueError(f"optimizer.{name}.{place} lacks a tensor")
    return state


def _describe(tensor: Tensor) -> str:
    return f"{'×'.join(map(str, tensor.shape)) or 'a scalar'} of {str(tensor.dtype).removeprefix('torch.')}"
