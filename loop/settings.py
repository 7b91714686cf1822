"""Every setting of `sipo-loop` and its default, once. The stages' other defaults are their own."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from sipo.backbones import settings as model
from sipo.backbones.loading.names import in_embedded_world
from sipo.common.settings import DEVICES, OUT, SEED, Devices, StrictModel, setting
from sipo.datagen import settings as datagen
from sipo.datagen.generate_defaults import model_layer as generate_layer
from sipo.feedback import settings as feedback
from sipo.feedback.prompts.suites import SUITES
from sipo.geneval.settings import IMAGES_PER_PROMPT
from sipo.train import settings as training
from sipo.train.train_defaults import model_layer as train_layer

GROWS = ("rounds", "out", "devices", "patience", "test_suite", "test_prompts", "test_every_round")
"""Settings that may differ when a loop goes on; `out` is where it is, not what it is."""
LATER = ("reuse_prompts", "allocate", "replay", "refresh", "start", "tolerance")
"""Which folders of earlier versions do not name: they had the defaults."""
WERE = {"later_rate": 1.0}
"""The same, and they had another value than the default of now."""

OFFICIAL = {"suite": "geneval-train", "evaluator": "mask2former"}
OFFICIAL |= {"eval_suite": "geneval-validation", "test_suite": "geneval"}
"""Of a model that is not embedded: GenEval's grammar, and the official evaluator's detector."""
FILES = {"suite": "prompts", "eval_suite": "eval_prompts", "test_suite": "test_prompts"}
"""What stands in for a suite."""
NO_TEST = "none"
"""The test suite that asks for no test."""


_held_out = partial(setting, "Evaluation")
_stage = partial(setting, "Other", metavar="NAME=VALUE")


class LoopSettings(StrictModel):
    rounds: int = setting("Training", "Rounds after the base.", 1, ge=1)
    out: Path = OUT(Path("runs/loop"), url=True)
    backbone: str = model.BACKBONE("mini-sd")
    seed: int = SEED(0)
    devices: Devices = DEVICES("auto")
    steps: int | None = model.STEPS(None)
    guidance: float | None = model.GUIDANCE(None)
    guidance_2: float | None = model.GUIDANCE_2(None)
    height: int | None = model.HEIGHT(None)
    width: int | None = model.WIDTH(None)
    frames: int | None = model.FRAMES(None)
    compile: bool = model.COMPILE(False)
    cache: model.Cache | None = model.CACHE(None)
    fp8: bool = model.FP8(False)

    suite: str = datagen.SUITE("mini-train", without="mini-train with mini-sd, else geneval-train")
    prompts: Path | None = feedback.PROMPTS(None)
    num_prompts: int = setting("Prompts", "Prompts of a round, of each tag its share.", 384, ge=1)
    reuse_prompts: bool = setting(
        "Prompts", "Let prompts that are used up come again, with new seeds.", True, without="on"
    )
    candidates: int = datagen.CANDIDATES(5)
    allocate: bool = datagen.ALLOCATE(False)
    policy: datagen.Policy = datagen.POLICY("all-over-margin")
    margin: float = datagen.MARGIN(0.3)
    judge: str = feedback.JUDGE("yolo-world")
    judge_weights: Path | None = feedback.JUDGE_WEIGHTS(None)
    judge_settings: Path | None = feedback.JUDGE_SETTINGS(None)

    objective: str = training.OBJECTIVE("sipo")
    max_train_steps: int = training.MAX_TRAIN_STEPS(500)
    train_batch_size: int = training.TRAIN_BATCH_SIZE(16)
    learning_rate: float | None = training.LEARNING_RATE(None, without="1e-4")
    beta_dpo: float | None = training.BETA_DPO(None, without="sipo-train's")
    rank: int | None = training.RANK(None, without="16")
    replay: float = setting(
        "Training",
        "Share of a round's pairs that come from earlier rounds' shards.",
        0.0,
        ge=0,
        lt=1,
    )
    refresh: int | None = setting(
        "Training",
        "Optimizer steps after which a round samples pairs anew, from the policy in training.",
        None,
        without="once a round",
        ge=1,
    )
    start: Literal["base", "previous", "best"] = setting(
        "Training",
        "Policy that a round begins from: base is a new LoRA on the pairs of all rounds.",
        "previous",
    )
    reference: Literal["base", "previous", "moving"] = setting(
        "Training",
        "Policy that rewards are measured against: base, what --start names, or the average of the "
        "policy in training.",
        "previous",
    )
    later_rate: float = setting(
        "Training",
        "Learning rate of a round that goes on from a trained policy, as a share of the first's.",
        0.3,
        gt=0,
        le=1,
    )
    tolerance: float = setting(
        "Training",
        "Overall that a round may lie below the best one and still be accepted.",
        0.02,
        ge=-1,
        le=1,
    )
    patience: int | None = setting(
        "Training", "Rounds without a clear gain that end the loop.", None, without="none do", ge=1
    )
    generate: dict[str, Any] = _stage("Another setting of sipo-data generate.", {})
    train: dict[str, Any] = _stage("Another setting of sipo-train.", {})
    evaluate: dict[str, Any] = _stage("Another setting of sipo-geneval.", {})

    eval_suite: str = _held_out(
        "Suite of prompts held out, which rounds are accepted by.",
        "mini-validation",
        choices=SUITES,
        without="mini-validation with mini-sd, else geneval-validation",
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
    test_suite: str = _held_out(
        "Suite that base and best round are tested on at the end, by no choice looked at.",
        "mini",
        choices=(*SUITES, NO_TEST),
        without="mini with mini-sd, else geneval",
    )
    test_prompts: Path | None = _held_out("File of prompts instead of the test suite.", None)
    test_every_round: bool = _held_out("Test every accepted round.", False)

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
        own = {k: v for k, v in OFFICIAL.items() if given.get(FILES.get(k, k)) is None}
        return own | given

    def config(self) -> dict[str, object]:
        """What a folder is held to: all that its rounds depend on."""
        unset = {name for name in model.FASTER if not getattr(self, name)}
        fields = type(self).model_fields
        unset |= {name for name in LATER if getattr(self, name) == fields[name].default}
        unset |= {name for name, value in WERE.items() if getattr(self, name) == value}
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
