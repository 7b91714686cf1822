"""Every setting of `sipo-loop` and its default, once. The stages' other defaults are their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from sipo.common.settings import Seed, StrictModel

GROWS = ("rounds", "out")
"""Settings that may differ when a loop goes on; `out` is where it is, not what it is."""


class LoopSettings(StrictModel):
    rounds: int = Field(default=1, ge=1)
    out: Path = Path("runs/loop")
    backbone: str = "mini-sd"
    seed: Seed = 0
    steps: int | None = Field(default=None, ge=1)  # None: the checkpoint's own
    guidance: float | None = Field(default=None, ge=0)

    suite: str = "mini-train"  # prompts to learn from, each used in one round only
    prompts: Path | None = None
    num_prompts: int = Field(default=384, ge=1)  # a round
    candidates: int = Field(default=5, ge=2)  # a prompt
    policy: str = "all-over-margin"
    margin: float = Field(default=0.3, ge=0, le=1)
    judge: str = "yolo-world"  # chooses winners
    judge_weights: Path | None = None
    judge_settings: Path | None = None  # JSON by judge, the evaluator's included

    objective: str = "sipo"
    max_train_steps: int = Field(default=500, ge=1)  # a round
    train_batch_size: int = Field(default=16, ge=1)
    learning_rate: float | None = Field(default=None, gt=0)  # None, here and below: the model's own
    beta_dpo: float | None = Field(default=None, gt=0)  # or the trainer's own
    rank: int | None = Field(default=None, ge=1)
    reference: Literal["base", "previous"] = "base"
    generate: dict[str, Any] = Field(default={})  # any other setting of sipo-data generate
    train: dict[str, Any] = Field(default={})  # of sipo-train
    evaluate: dict[str, Any] = Field(default={})  # of sipo-geneval

    eval_suite: str = "mini"  # prompts held out
    eval_prompts: Path | None = None
    images_per_prompt: int = Field(default=2, ge=1)
    evaluator: str = "mini-evaluator"  # independent of the judge
    evaluator_weights: Path | None = None

    def config(self) -> dict[str, Any]:
        """What a folder is held to: all that its rounds depend on."""
        return self.model_dump(mode="json", exclude=set(GROWS))
