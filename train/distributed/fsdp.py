"""FSDP2: weights, gradients and optimizer state divided among processes; what is written is whole.

`shard` changes a module in place, its parameters become DTensors of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict, TypeVar, cast

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


class OptimizerState(TypedDict):
    """`optimizer.state_dict()`: moments by the parameter's index."""

    state: dict[int, dict[str, object]]
    param_groups: list[dict[str, object]]


def shard_optimizer_state(
    whole: OptimizerState, parameters: Sequence[nn.Parameter]
) -> OptimizerState:
    """With each moment placed as its parameter is."""

    def placed(value: object, like: nn.Parameter) -> object:
        if isinstance(value, Tensor) and value.shape == like.shape:
            return shard_like(value, like)
        return value

    state = {
        index: {name: placed(value, parameters[index]) for name, value in moments.items()}
        for index, moments in whole["state"].items()
    }
    return OptimizerState(state=state, param_groups=whole["param_groups"])
