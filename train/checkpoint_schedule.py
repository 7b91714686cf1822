"""When a run is checkpointed, and what is in a checkpoint beside the policy."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from sipo.train import checkpoint_files
from sipo.train.checkpoint_files import SavePolicy
from sipo.train.distributed.fsdp import full_tensor
from sipo.train.settings import TrainSettings

if TYPE_CHECKING:
    from accelerate import Accelerator


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
    ) -> None:
        """`saver` gives what writes the policy as it is; every process must ask for it."""
        self.settings, self.steps, self.accelerator = settings, steps, accelerator
        self.parts, self.saver = parts, saver
        self.saved_at = time.monotonic()

    def due(self, step: int) -> bool:
        return checkpoint_files.is_due(self.settings, step, self.steps)

    def late(self) -> bool:
        """Whether the last one is --checkpointing_minutes ago."""
        minutes = self.settings.checkpointing_minutes
        return bool(minutes) and time.monotonic() - self.saved_at >= 60 * minutes

    def save(self, step: int, row_sums: Tensor, between: bool) -> None:
        """All processes gather what they share, the main one writes."""
        state = full_tensor({name: part.state_dict() for name, part in self.parts.items()})
        saver = self.saver()
        if self.accelerator.is_main_process:
            content = {**state, "step": step, "row_sums": row_sums}
            limit = self.settings.checkpoints_total_limit
            checkpoint_files.new_checkpoint(Path(self.settings.out), content, saver, limit, between)
        self.saved_at = time.monotonic()

    def load(self, checkpoint: Path) -> Tensor | None:
        """The sums of the row that it does not end; older ones always ended a row."""
        state = checkpoint_files.load_state(checkpoint)
        for name, part in self.parts.items():
            if name not in state:
                raise ValueError(
                    f"checkpoint {str(checkpoint)!r} has no {name}; give another --out"
                )
            part.load_state_dict(state[name])
        sums = state.get("row_sums")
        return sums if isinstance(sums, Tensor) else None
