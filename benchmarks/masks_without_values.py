"""Boolean masks on the meta device, where nothing has a value: enough to count operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class MasksWithoutValues(TorchFunctionMode):
    """A mask takes every row and its inverse none; what is asked of values is so.

    HunyuanVideo 1.5's denoiser puts the tokens of its texts that are read before the others, each
    row by its own mask: their number is the same whichever they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self._inverse: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func is Tensor.__bool__ and args[0].is_meta:
            return True
        if func is Tensor.__getitem__ and _is_mask(args[1]):
            return args[0][:0] if any(args[1] is one for one in self._inverse) else args[0]
        made = func(*args, **(kwargs or {}))
        if func is Tensor.__invert__ and _is_mask(made):
            self._inverse.append(made)
        return made


def _is_mask(key: object) -> bool:
    return isinstance(key, Tensor) and key.is_meta and key.dtype == torch.bool
