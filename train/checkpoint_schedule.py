"""When a run is checkpointed, and what is in a checkpoint beside the policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from sipo.common.files.working_folders import working_folder
from sipo.train import checkpoint_files
from sipo.train.checkpoint_files import STATE, SavePolicy
from sipo.train.checkpoint_tensors import FILES, TENSORS, state_file, taken_out
from sipo.train.distributed.fsdp import save_whole
from sipo.train.settings import TrainSettings

if TYPE_CHECKING:
    from accelerate import Accelerator

WINNERS = "winner_error"
"""The part that a checkpoint may lack: it changes no weight."""


class Part(Protocol):
    """What changes during a run and is taken up again."""

    def state_dict(self) -> Mapping[Any, object]: ...
    def load_state_dict(self, state: Any, /) -> object: ...


class Checkpointer:
    def __init__(
        self,
        settings: TrainSettings,
        steps: int,
        accelerator: Accelerator,
        parts: Mapping[str, Part],
        saver: Callable[[], SavePolicy],
        saved: Path | None = None,
    ) -> None:
        """`saver` gives what writes the policy as it is. `saved` is the file of it that has all
        that is trained, where there is one: it is not kept twice."""
        self.settings, self.steps, self.accelerator = settings, steps, accelerator
        self.parts, self.saver, self.saved = parts, saver, saved
        self.saves = "ema" if settings.ema_decay else "policy"
        self.saved_at = time.monotonic()

    def due(self, step: int) -> bool:
        return checkpoint_files.is_due(self.settings, step, self.steps)

    def late(self) -> bool:
        """Whether the last one is --checkpointing_minutes ago."""
        minutes = self.settings.checkpointing_minutes
        return bool(minutes) and time.monotonic() - self.saved_at >= 60 * minutes

    def save(self, step: int, row_sums: Tensor, between: bool) -> None:
        """All processes give what they share, one tensor at a time; the main one writes."""

        def write(folder: Path | None) -> None:
            self.saver()(folder)
            tensors, rest = taken_out({n: part.state_dict() for n, part in self.parts.items()})
            if self.saved is not None:
                tensors = {k: v for k, v in tensors.items() if not k.startswith(f"{self.saves}/")}
            if tensors:
                save_whole(folder and folder / TENSORS, tensors)
            if folder is not None:
                files = {TENSORS: state_file(folder / TENSORS)} if tensors else {}
                if self.saved is not None:
                    files[str(self.saved)] = state_file(folder / self.saved, self.saves)
                content = {**rest, FILES: files, "step": step, "row_sums": row_sums}
                torch.save(content, folder / STATE)

        if self.accelerator.is_main_process:
            limit = self.settings.checkpoints_total_limit
            out = working_folder(self.settings.out)
            checkpoint_files.new_checkpoint(out, step, write, limit, between)
        else:
            write(None)
        self.saved_at = time.monotonic()

    def load(self, checkpoint: Path) -> Tensor | None:
        """The sums of the row that it does not end; older ones always ended a row."""
        state = checkpoint_files.load_state(checkpoint, self.accelerator.is_main_process)
        for name, part in self.parts.items():
            if name not in state and name == WINNERS:
                continue  # the run began without --stop_on_winner_error
            if name not in state:
                raise ValueError(
                    f"checkpoint {str(checkpoint)!r} has no {name}; give another --out"
                )
            part.load_state_dict(state[name])
        sums = state.get("row_sums")
        return sums if isinstance(sums, Tensor) else None
