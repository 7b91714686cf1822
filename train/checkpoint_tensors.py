"""The tensors of a checkpoint: beside its other values, in files of which a process reads its rows.

`state.safetensors` holds "policy/NAME", "ema/NAME" and "optimizer/INDEX/MOMENT", but for what the
saved policy has already: with `--full` its file is the trained weights, or their average.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict, TypeGuard, cast

from torch import Tensor

from sipo.common.files.stored_tensors import ORDER, checksum, stored_tensors

if TYPE_CHECKING:
    from sipo.train.distributed.fsdp import OptimizerState

TENSORS, FILES = "state.safetensors", "files"
DIVIDED = ("policy", "ema", "reference")
"""Parts of a run whose state is tensors by name."""
OPTIMIZER = "optimizer"


class StateFile(TypedDict):
    """What state.pt says of a file beside it."""

    crc32: int
    holds: str | None  # the part, where names are its own


def taken_out(
    states: Mapping[str, Mapping[str, object]],
) -> tuple[dict[str, Tensor], dict[str, Mapping[str, object]]]:
    """The tensors by their names in the file, and the rest as it is to be in state.pt."""
    tensors: dict[str, Tensor] = {}
    rest = dict(states)
    for part in DIVIDED:
        if part in states:
            tensors |= {f"{part}/{k}": v for k, v in states[part].items() if _fits(v)}
            rest[part] = {k: v for k, v in states[part].items() if not _fits(v)}
    whole = cast("OptimizerState", states[OPTIMIZER])
    small: dict[int, dict[str, object]] = {}
    for index, moments in whole["state"].items():
        tensors |= {f"{OPTIMIZER}/{index}/{k}": v for k, v in moments.items() if _fits(v)}
        small[index] = {k: v for k, v in moments.items() if not _fits(v)}
    return tensors, rest | {OPTIMIZER: {**whole, "state": small}}


def _fits(value: object) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.ndim > 0 and value.dtype in ORDER


def state_file(path: Path, holds: str | None = None) -> StateFile:
    return StateFile(crc32=checksum(path), holds=holds)


def put_back(state: dict[str, object], checkpoint: Path, check: bool) -> None:
    """As before `taken_out`, with values that are still in the files.

    Raises ValueError for a file that is damaged; `check`: read it all to know.
    """
    for name, file in cast(dict[str, StateFile], state.pop(FILES, {})).items():
        path = checkpoint / name
        try:
            if check and checksum(path) != file["crc32"]:
                raise ValueError("its values have changed")
            found = stored_tensors(path, "checkpoint")
        except (OSError, ValueError) as error:
            raise ValueError(f"checkpoint {str(path)!r} is damaged ({error})") from None
        for key, value in found.items():
            part, _, rest = (f"{file['holds']}/{key}" if file["holds"] else key).partition("/")
            if part == OPTIMIZER:
                index, _, moment = rest.partition("/")
                whole = cast("OptimizerState", state[OPTIMIZER])
                whole["state"][int(index)][moment] = value
            else:
                cast(dict[str, object], state[part])[rest] = value
