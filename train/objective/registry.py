"""Objectives by name: our own, and losses from outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import AfterValidator

from sipo.common.plugins import find_part, installed_names, is_reference, near_first

if TYPE_CHECKING:
    from sipo.train.objective.losses import Loss, Objective

GROUP: Literal["sipo.objectives"] = "sipo.objectives"
OBJECTIVE_NAMES = (
    *("sipo", "dpo-cm", "diffusion-dpo", "flow-dpo", "diffusion-sdpo", "diffusion-kto"),
    *("mapo", "ipo", "hinge", "sft", "d3po", "nft"),
)
NO_MARGIN_OBJECTIVES = frozenset({"sft", "mapo", "d3po", "nft"})
"""Whose z is not a difference of rewards, or not in the loss."""


def check_objective(name: str) -> str:
    """The name. Raises ValueError for what is none of ours and can be none from outside."""
    known = [*OBJECTIVE_NAMES, *installed_names(GROUP)]
    if name not in known and not is_reference(name):
        raise ValueError(
            f"is unknown; choose one of {', '.join(near_first(name, known))}, or module:function "
            "of your own"
        )
    return name


ObjectiveName = Annotated[str, AfterValidator(check_objective)]


def find_objective(name: str) -> Objective:
    """Raises ValueError for what cannot be imported or is no loss."""
    from sipo.train.objective.losses import OBJECTIVES, Objective

    if name in OBJECTIVES:
        return OBJECTIVES[name]
    part = find_part(GROUP, name, "--objective")
    assert part is not None, "a setting has this name"
    found = part.value if isinstance(part.value, Objective) else None
    if found is None and not callable(part.value):
        raise ValueError(f"--objective {name!r} is no function; give a loss of one's own")
    objective = replace(found or Objective(cast("Loss", part.value)), part=part)
    _require_loss(objective.loss, name)
    return objective


def _require_loss(loss: Callable[..., object], name: str) -> None:
    """Of two rows it gives a PairLoss of two."""
    import torch

    from sipo.train.objective.importance import Weights
    from sipo.train.objective.losses import Errors, PairLoss, Scored

    half = torch.full((2,), 0.5)
    scored = Scored(half, half, half, half, clean=half)
    errors = Errors(half, half, half, half, half, scored)
    given = loss(errors, Weights(half, half, half, half), 1.0)
    shapes = {value.shape for value in vars(given).values()} if isinstance(given, PairLoss) else ()
    if shapes != {half.shape}:
        raise ValueError(
            f"--objective {name!r} gave {type(given).__name__}; it takes (errors, weights, beta) "
            "and gives a PairLoss of five tensors, one value a row"
        )
