"""Every setting of `sipo-loop` and its default, once. The stages' other defaults are their own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from sipo.backbones import settings as model
from sipo.backbones.loading.names import in_embedded_world
from sipo.common.settings import OUT, SEED, StrictModel, setting
from sipo.datagen import settings as datagen
from sipo.datagen.generate_defaults import model_layer as generate_layer
from sipo.feedback import settings as feedback
from sipo.feedback.prompts.suites import SUITES
from sipo.geneval.settings import IMAGES_PER_PROMPT
from sipo.train import settings as training
from sipo.train.train_defaults import model_layer as train_layer

GROWS = ("rounds", "out")
"""Settings that may differ when a loop goes on; `out` is where it is, not what it is."""


OFFICIAL = {"suite": "geneval-train", "eval_suite": "geneval", "evaluator": "mask2former"}
"""Of a model that is not embedded: GenEval's grammar, and the official evaluator's detector."""


_held_out = partial(setting, "Evaluation")
_stage = partial(setting, "Other", metavar="NAME=VALUE")


class LoopSettings(StrictModel):
    rounds: int = setting("Training", "Rounds after the base.", 1, ge=1)
    out: Path = OUT(Path("runs/loop"))
    backbone: str = model.BACKBONE("mini-sd")
    seed: int = SEED(0)
    steps: int | None = model.STEPS(None)
    guidance: float | None = model.GUIDANCE(None)
    height: int | None = model.HEIGHT(None)
    width: int | None = model.WIDTH(None)
    frames: int | None = model.FRAMES(None)
    compile: bool = model.COMPILE(False)
    cache: model.Cache | None = model.CACHE(None)
    fp8: bool = model.FP8(False)

    suite: str = datagen.SUITE("mini-train", without="mini-train with mini-sd, else geneval-train")
    prompts: Path | None = feedback.PROMPTS(None)
    num_prompts: int = setting("Prompts", "Prompts of a round, each used in one only.", 384, ge=1)
    candidates: int = datagen.CANDIDATES(5)
    policy: datagen.Policy = datagen.POLICY("all-over-margin")
    margin: float = datagen.MARGIN(0.3)
    judge: str = feedback.JUDGE("yolo-world")
    judge_weights: Path | None = feedback.JUDGE_WEIGHTS(None)
    judge_settings: Path | None = feedback.JUDGE_SETTINGS(None)

    objective: str = training.OBJECTIVE("sipo")
    max_train_steps: int = training.MAX_TRAIN_STEPS(500)
    train_batch_size: int = training.TRAIN_BATCH_SIZE(16)
    learning_rate: float | None = training.LEARNING_RATE(None, without="1e-4; 3e-3 with mini-sd")
    beta_dpo: float | None = training.BETA_DPO(None, without="sipo-train's; 100 with mini-sd")
    rank: int | None = training.RANK(None, without="16; 32 with mini-sd")
    reference: Literal["base", "previous"] = setting(
        "Training", "Policy that rewards are measured against: base or the round before.", "base"
    )
    generate: dict[str, Any] = _stage("Another setting of sipo-data generate.", {})
    train: dict[str, Any] = _stage(
        "Another setting of sipo-train.",
        {},
        without="with mini-sd winner_anchor=1 train_timesteps=400:1000 lr_scheduler=cosine",
    )
    evaluate: dict[str, Any] = _stage("Another setting of sipo-geneval.", {})

    eval_suite: str = _held_out(
        "Suite of prompts held out, for evaluations.",
        "mini",
        choices=SUITES,
        without="mini with mini-sd, else geneval",
    )
    eval_prompts: Path | None = _held_out("File of prompts instead of the held-out suite.", None)
    images_per_prompt: int = IMAGES_PER_PROMPT(2)
    evaluator: str = feedback.JUDGES_NAMED(
        "Evaluation",
        "Judge that measures and gives no reward; several are one.",
        "mini-evaluator",
        without="mini-evaluator with mini-sd, else mask2former",
    )
    evaluator_weights: Path | None = _held_out("Weights of the evaluator.", None)

    @model_validator(mode="before")
    @classmethod
    def _of_its_world(cls, given: object) -> object:
        """The embedded suites and evaluator are the defaults of embedded models alone."""
        if not isinstance(given, dict):
            return given
        given = dict(given)
        for name, value in _of_the_model(given).items():
            given.setdefault(name, value)
        if in_embedded_world(given.get("backbone"), given.get("suite")):
            return given
        files = {"suite": "prompts", "eval_suite": "eval_prompts"}  # that stand in for a suite
        own = {k: v for k, v in OFFICIAL.items() if given.get(files.get(k, k)) is None}
        return own | given

    def config(self) -> dict[str, object]:
        """What a folder is held to: all that its rounds depend on."""
        unset = {name for name in model.FASTER if not getattr(self, name)}
        return self.model_dump(mode="json", exclude={*GROWS, *unset})


def _of_the_model(given: dict[str, object]) -> dict[str, object]:
    """What the model's file says of settings that have a default here. Where ours is None the
    stage itself takes the model's."""
    fields = LoopSettings.model_fields
    name = str(given.get("backbone") or fields["backbone"].default)
    said = {
        **generate_layer(name).values,
        **train_layer(name, given.get("objective")).values,
    }
    return {
        name: value
        for name, value in said.items()
        if name in fields and fields[name].default is not None
    }
