"""A resumable step loop for the recipes: every step is a function of (state, step number)."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import torch

from sipo.common.bars import bar, numbers


class Stateful(Protocol):
    """A network, an optimizer."""

    def state_dict(self) -> dict[str, object]: ...

    def load_state_dict(self, state_dict: dict[str, object], /) -> object: ...


def one_cycle(k: int, steps: int, warmup: float = 0.05, floor: float = 0.01) -> float:
    """Share of the peak learning rate at step k: linear warm-up, then a cosine down to `floor`."""
    done = k / steps
    if done < warmup:
        return max(done / warmup, floor)
    fall = (done - warmup) / (1 - warmup)
    return floor + (1 - floor) * (1 + math.cos(math.pi * fall)) / 2


def trapezoid(k: int, steps: int, warmup: int = 100, fall: float = 0.7) -> float:
    """Share of the peak learning rate at step k: up in `warmup` steps, level, then down to 1 %.

    Until the fall begins, `steps` may still be changed (Hägele et al. 2024, section 3).
    """
    return max(min((k + 1) / warmup, 1, (steps - k) / (fall * steps)), 0.01)


def run_steps(
    out: Path,
    parts: Mapping[str, Stateful],
    steps: int,
    step: Callable[[int], dict[str, float]],
    save_every: int = 250,
    is_main: bool = True,
) -> None:
    """Call `step(k)` for k in [0, steps), going on from `out/state.pt` where there is one.

    `parts` are what has a state_dict. Means of what `step` returns go to `out/log.jsonl`. Of
    several processes only the main one writes.
    """
    out.mkdir(parents=True, exist_ok=True)
    state_file = out / "state.pt"
    first = 0
    if state_file.exists():
        state = torch.load(state_file, weights_only=True)
        first = state.pop("step")
        for name, part in parts.items():
            part.load_state_dict(state[name])
    sums: dict[str, float] = {}
    began = time.monotonic()
    with bar(steps, out.name, "steps", done=first, shown=is_main) as shown:
        for k in range(first, steps):
            for name, value in step(k).items():
                sums[name] = sums.get(name, 0.0) + value
            shown.update()
            if is_main and (k + 1) % 50 == 0:
                row = {name: value / 50 for name, value in sums.items()}
                row |= {"step": k + 1, "elapsed_s": round(time.monotonic() - began, 1)}
                with (out / "log.jsonl").open("a", encoding="utf-8") as log:
                    log.write(json.dumps(row) + "\n")
                numbers(shown, **{n: f"{v:.4f}" for n, v in row.items() if n in sums})
                sums = {}
            if is_main and ((k + 1) % save_every == 0 or k + 1 == steps):
                state = {name: part.state_dict() for name, part in parts.items()}
                torch.save(state | {"step": k + 1}, out / "state.tmp")
                os.replace(out / "state.tmp", state_file)
