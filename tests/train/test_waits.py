"""A step waits for the device once: what reads a number back stalls everything queued behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from memory_pairs import Run
from torch.utils._python_dispatch import TorchDispatchMode

from sipo.train import trainer
from sipo.train.distributed.optimizer_step import Stepper
from sipo.train.objective.denoising_errors import PairSource


class Reads(TorchDispatchMode):
    """Counts `item()`, `float(tensor)` and `if tensor`, all of them one operator."""

    count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_they_are_counted() -> None:
    with Reads() as reads:
        value = torch.ones(())
        assert value > 0
        float(value)
    assert reads.count == 2


@pytest.mark.parametrize("given", [{}, {"denominator": "ref"}, {"gradient_accumulation_steps": 2}])
def test_once_a_step(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: dict[str, Any]
) -> None:
    """Left out: drawing a batch, which knows no device, and AdamW on a CPU."""
    reads, lengths = Reads(), list[int]()
    step, read = trainer.Trainer.step, trainer.read

    def counted(self: trainer.Trainer) -> Any:
        with reads:
            return step(self)

    def uncounted(whole: Any) -> Any:
        def call(*given: Any) -> Any:
            before = reads.count
            result = whole(*given)
            reads.count = before
            return result

        return call

    def told(values: torch.Tensor) -> list[float]:
        lengths.append(len(values))
        return read(values)

    monkeypatch.setattr(trainer.Trainer, "step", counted)
    monkeypatch.setattr(PairSource, "draw", uncounted(PairSource.draw))
    monkeypatch.setattr(Stepper, "apply", uncounted(Stepper.apply))
    monkeypatch.setattr(trainer, "read", told)
    run("run", max_train_steps=3, checkpointing_steps=3, **given)
    assert reads.count == 0
    assert len(lengths) == 3
