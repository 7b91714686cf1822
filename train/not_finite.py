"""What is said of a loss that is NaN or infinite."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sipo.train import checkpoint_files

LOWER = "Lower --learning_rate or --beta_dpo"


def where(step: int, keys: Iterable[str]) -> str:
    """`keys` are the pairs' of that step."""
    return f"the loss is not finite at step {step} (pairs {', '.join(dict.fromkeys(keys))})"


def way_on(out: Path) -> str:
    """From what the run has kept."""
    good = next(reversed(checkpoint_files.checkpoints(out)), None)
    return (
        f"the last good checkpoint is {good or 'none'}. {LOWER} and start again from it with "
        "--init_weights and another --out"
    )


def ended(found: str, step: int) -> str:
    """Of a run with --stop_on_nan, in the words of its other warnings."""
    return f"step {step}: {found}; the run ended with the policy of step {step - 1}. {LOWER}"
