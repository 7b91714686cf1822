"""FSDP2: weights, gradients and optimizer state divided among processes; what is written is whole.

`shard` changes a module in place, its parameters become DTensors of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor

from sipo.train.distributed.accelerate_env import reshard_after_forward

Tree = TypeVar("Tree")


def shard(module: nn.Module, device: torch.device) -> None:
    """Block by block, so that only one block's weights are whole at a time."""
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    mesh = init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    blocks = frozenset(getattr(module, "_no_split_modules", None) or ())
    for part in reversed(list(module.modules())):  # the inner before the outer
        if type(part).__name__ in blocks and part is not module:
            fully_shard(part, mesh=mesh, reshard_after_forward=reshard_after_forward())
    fully_shard(module, mesh=mesh)


def full_tensor(values: Tree) -> Tree:
    """Every DTensor in nested dicts and lists gathered; all processes must call it alike."""
    if isinstance(values, DTensor):
        return cast(Tree, values.full_tensor())
    if isinstance(values, Mapping):
        return cast(Tree, {key: full_tensor(value) for key, value in values.items()})
    if isinstance(values, list):
        return cast(Tree, [full_tensor(value) for value in values])
    return values


def shard_like(value: Tensor, like: Tensor) -> Tensor:
    """A whole tensor placed as `like` is, which has its shape."""
    if not isinstance(like, DTensor):
        return value
    return distribute_tensor(value.to(like.device), like.device_mesh, like.placements)


def shard_optimizer_state(
    state: Mapping[str, Any], parameters: list[nn.Parameter]
) -> dict[str, object]:
    """A whole `optimizer.state_dict()` with each moment placed as its parameter is."""
    placed = {
        index: {
            name: shard_like(value, parameters[index])
            if isinstance(value, Tensor) and value.shape == parameters[index].shape
            else value
            for name, value in moments.items()
        }
        for index, moments in state["state"].items()
    }
    return {**state, "state": placed}
