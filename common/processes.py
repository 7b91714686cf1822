"""Which of several processes this is, as whoever started them says."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Process:
    """The `rank`th of `count`, the `local_rank`th of its machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

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
    if "SLURM_ARRAY_TASK_ID" in environment and "SLURM_ARRAY_TASK_COUNT" in environment:
        step = max(1, _number(environment, "SLURM_ARRAY_TASK_STEP") or 1)
        first = _number(environment, "SLURM_ARRAY_TASK_MIN")
        task = (_number(environment, "SLURM_ARRAY_TASK_ID") - first) // step
        rank, count = task * count + rank, _number(environment, "SLURM_ARRAY_TASK_COUNT") * count
    return Process(rank, count, local)


def _number(environment: Mapping[str, str], name: str) -> int:
    text = environment.get(name, "0")
    if not text.isdecimal():
        raise ValueError(f"the environment's {name} is {text!r}; it must be a number of 0 or more")
    return int(text)
