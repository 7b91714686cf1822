"""Models distilled to a few steps: training teaches errors of denoising, and not those steps."""

from __future__ import annotations

from sipo.backbones.base import Backbone
from sipo.common.bars import say


def say_undone(backbone: Backbone) -> None:
    """docs/backbones.md, "Distilled models", has the sources."""
    if backbone.few_steps:
        say(
            f"warning: {backbone.name!r} was distilled to a few steps, and training undoes that "
            "bit by bit: pictures of few steps blur; train the model it was distilled from and "
            "load the LoRA here, or keep the run short and validate with its own steps"
        )
