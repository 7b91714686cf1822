"""Which of several processes this is, as whoever started them says."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """The `rank`th of `count`, the `local_rank`th of the `local_count` that share its machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    def first_its_own(self, items: Sequence[int]) -> list[int]:
        """All of them, the part that is this one's first, then those of others, in an order of its
        own: where one is behind, not all come to the same place."""
        begin, end = (part * len(items) // self.count for part in (self.rank, self.rank + 1))
        others = [*items[end:], *items[:begin]]
        random.Random(self.rank).shuffle(others)
        return [*items[begin:end], *others]


_LAUNCHERS = (
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun, accelerate launch
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),  # srun
)
_ARRAY = ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT")


def this_process(environment: Mapping[str, str] = os.environ) -> Process:
    """Of torchrun, `accelerate launch`, srun or a Slurm array; else the only one.

    An array's tasks are processes of their own, each with its card; srun within one counts within
    the task. Raises ValueError for a variable that is no number.
    """
    rank, count, local = 0, 1, 0
    for names in _LAUNCHERS:
        if names[0] in environment and names[1] in environment:
            rank, count, local = (_number(environment, name) for name in names)
            break
    if set(_ARRAY) <= environment.keys():
        step = max(1, _number(environment, "SLURM_ARRAY_TASK_STEP") or 1)
        first = _number(environment, "SLURM_ARRAY_TASK_MIN")
        task = (_number(environment, _ARRAY[0]) - first) // step
        rank, count = task * count + rank, _number(environment, _ARRAY[1]) * count
    return Process(rank, count, local, max(1, _number(environment, "LOCAL_WORLD_SIZE")))


def shows_bars(environment: Mapping[str, str] = os.environ) -> bool:
    """Of several processes on one terminal the first; none where tqdm's own variable says so."""
    silent = environment.get("TQDM_DISABLE", "0") not in ("", "0")
    return not silent and this_process(environment).rank == 0


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "0")
    if not text.isdecimal():
        raise ValueError(f"the environment's {name} is {text!r}; it must be a number of 0 or more")
    return int(text)
