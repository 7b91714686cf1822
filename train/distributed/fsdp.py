"""FSDP2: weights, gradients and optimizer state divided among processes; what is written is whole.

`shard` changes a module in place, its parameters become DTensors of the same names. No process ever
holds more than its share and a block: weights are read from their files slice by slice, or divided
where they are, and a checkpoint is gathered on the main process's CPU one tensor at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypedDict, cast

import torch
from torch import Tensor, distributed, nn
from torch.distributed.tensor import DTensor, Shard

from sipo.backbones.blocks import WHOLE, blocks_of
from sipo.backbones.loading.unread import Unread, is_unread, replace_parameters, unread_of
from sipo.common.files.stored_tensors import StoredTensor, in_file_order, write_tensors
from sipo.train.distributed.accelerate_env import reshard_after_forward


def shard(module: nn.Module, device: torch.device, precision: str = "no") -> None:
    """Block by block, so that only one block's weights are whole at a time.

    What is unread is divided without values, which are then read, each process its own. In bf16,
    blocks are gathered so and gradients summed in float32; autocast sees to the rest, and inputs
    keep their type, for a timestep in bf16 is another timestep.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    # FSDP2 fears changes in place of a block's output; diffusers makes none.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    mesh = init_device_mesh(device.type, (distributed.get_world_size(),))
    policy = MixedPrecisionPolicy()
    if precision == "bf16":
        policy = MixedPrecisionPolicy(torch.bfloat16, torch.float32, cast_forward_inputs=False)
    values = unread_of(module)
    replace_parameters(module, lambda _, p: _without_memory(p) if is_unread(p) else None)
    for part in reversed(list(blocks_of(module, WHOLE))):  # the inner before the outer
        if part is not module:
            again = reshard_after_forward()
            fully_shard(part, mesh=mesh, reshard_after_forward=again, mp_policy=policy)
    fully_shard(module, mesh=mesh, mp_policy=policy)
    if values is not None:
        _read(module, device, values)


def _without_memory(value: Tensor) -> Tensor:
    return torch.empty(value.shape, dtype=value.dtype, device="meta")


@torch.no_grad()
def _read(module: nn.Module, device: torch.device, values: Unread) -> None:
    missing = [name for name, parameter in module.named_parameters() if parameter.is_meta]
    made: Callable[[Tensor], Tensor] = partial(_with_memory, device=device)
    module._apply(made)  # type: ignore[no-untyped-call]
    parameters = dict(module.named_parameters())
    for name in missing:
        here, rows = part_of(parameters[name])
        if here.numel():
            here.copy_(values.read(name, rows))


def _with_memory(value: Tensor, device: torch.device) -> Tensor:
    return torch.empty_like(value, device=device) if value.is_meta else value.to(device)


def part_of(value: Tensor) -> tuple[Tensor, slice]:
    """This process's part of a tensor, and which rows of the whole it is: its own memory."""
    if not isinstance(value, DTensor):
        return value, slice(None)
    [placement] = value.placements
    assert isinstance(placement, Shard), placement
    assert placement.dim == 0, "FSDP2 divides rows"
    here, per_process = value.to_local(), _rows_each(value)
    first = min(value.device_mesh.get_local_rank() * per_process, len(value))
    return here, slice(first, first + len(here))


def _rows_each(value: DTensor) -> int:
    """Of all processes but the last ones, whose share may be smaller or nothing."""
    return -(-len(value) // value.device_mesh.size())


def copy_rows(target: Tensor, whole: Tensor | StoredTensor) -> None:
    """This process's part of `whole` into `target`, which may be divided."""
    here, rows = part_of(target)
    if here.numel():
        here.copy_(whole[rows] if whole.shape or isinstance(whole, StoredTensor) else whole)


def whole_on_main(value: Tensor) -> Tensor | None:
    """On the CPU of the main process, None elsewhere; every process must ask for it."""
    if not isinstance(value, DTensor):
        return value.detach().cpu() if _is_main() else None
    here, _ = part_of(value.detach())
    rows = _rows_each(value)
    padded = here
    if len(here) < rows:
        padded = here.new_zeros(rows, *here.shape[1:])
        padded[: len(here)] = here
    group, whole = value.device_mesh.get_group(), None
    parts: list[Tensor] | None = None
    if _is_main():
        whole = here.new_empty(rows * value.device_mesh.size(), *here.shape[1:])
        parts = list(torch.split(whole, rows))
    distributed.gather(padded.contiguous(), parts, group=group, group_dst=0)
    return None if whole is None else whole[: len(value)].cpu()


def _is_main() -> bool:
    return not distributed.is_initialized() or distributed.get_rank() == 0


def save_whole(path: Path | None, tensors: Mapping[str, Tensor]) -> None:
    """As safetensors, one tensor at a time; every process must ask alike, the main one writes and
    the others have no path."""
    gathered = (whole_on_main(tensors[name]) for name in in_file_order(tensors))
    if path is None:
        for _ in gathered:
            pass
    else:
        write_tensors(path, tensors, cast(Iterator[Tensor], gathered))


def full_tensor(value: Tensor) -> Tensor:
    """A small one, on every process."""
    return value.full_tensor() if isinstance(value, DTensor) else value


class OptimizerState(TypedDict):
    """`optimizer.state_dict()`: moments by the parameter's index."""

    state: dict[int, dict[str, object]]
    param_groups: list[dict[str, object]]


def place_optimizer_state(
    whole: OptimizerState, parameters: Sequence[nn.Parameter]
) -> OptimizerState:
    """With each moment placed as its parameter is."""

    def placed(value: object, like: nn.Parameter) -> object:
        if not isinstance(value, Tensor | StoredTensor):
            return value
        if isinstance(like, DTensor) and tuple(value.shape) == tuple(like.shape):
            made = torch.empty_like(like, dtype=value.dtype, requires_grad=False)
            copy_rows(made, value)
            return made
        return value[:] if isinstance(value, StoredTensor) else value

    state = {
        index: {name: placed(value, parameters[index]) for name, value in moments.items()}
        for index, moments in whole["state"].items()
    }
    return OptimizerState(state=state, param_groups=whole["param_groups"])
