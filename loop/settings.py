"""Every setting of `sipo-loop` and its default, once. The stages' other defaults are their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from sipo.backbones.loading.names import in_embedded_world
from sipo.common.settings import Seed, StrictModel

GROWS = ("rounds", "out")
"""Settings that may differ when a loop goes on; `out` is where it is, not what it is."""


OFFICIAL = {"suite": "geneval-train", "eval_suite": "geneval", "evaluator": "mask2former"}
"""Of a model that is not embedded: GenEval's grammar, and the official evaluator's detector."""


class LoopSettings(StrictModel):
    rounds: int = Field(default=1, ge=1)
    out: Path = Path("runs/loop")
    backbone: str = "mini-sd"
    seed: Seed = 0
    steps: int | None = Field(default=None, ge=1)  # None: the checkpoint's own
    guidance: float | None = Field(default=None, ge=0)
    height: int | None = Field(default=None, ge=1)  # pixels, of candidates and evaluations
    width: int | None = Field(default=None, ge=1)
    frames: int | None = Field(default=None, ge=1)  # of a clip

    suite: str = "mini-train"  # prompts to learn from, each used in one round only
    prompts: Path | None = None
    num_prompts: int = Field(default=384, ge=1)  # a round
    candidates: int = Field(default=5, ge=2)  # a prompt
    policy: str = "all-over-margin"
    margin: float = Field(default=0.3, ge=0, le=1)
    judge: str = "yolo-world"  # chooses winners; of a model that is not embedded with its weights
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

    @model_validator(mode="before")
    @classmethod
    def _of_its_world(cls, given: Any) -> Any:
        """The embedded suites and evaluator are the defaults of embedded models alone."""
        if not isinstance(given, dict):
            return given
        if in_embedded_world(given.get("backbone"), given.get("suite")):
            return given
        files = {"suite": "prompts", "eval_suite": "eval_prompts"}  # that stand in for a suite
        own = {k: v for k, v in OFFICIAL.items() if given.get(files.get(k, k)) is None}
        return own | given

    def config(self) -> dict[str, Any]:
        """What a folder is held to: all that its rounds depend on."""
        return self.model_dump(mode="json", exclude=set(GROWS))
