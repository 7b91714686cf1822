"""What every stage of a loop is asked to do: the loop's settings in each stage's own words."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.backbones.loading.names import check_name, in_embedded_world
from sipo.backbones.settings import sampler_settings
from sipo.datagen.generate_defaults import model_layer as generate_layer
from sipo.feedback.prompts.demands import check_prompts, require_published
from sipo.feedback.prompts.prompt import Prompt, read_prompts
from sipo.feedback.prompts.suites import load_suite
from sipo.feedback.registry import split_names
from sipo.geneval.settings import EvalSettings, wanted_prompts
from sipo.loop.settings import LoopSettings

if TYPE_CHECKING:
    import sipo.datagen.settings
    from sipo.train.settings import TrainSettings

DECIDED = {
    "train": {"data", "init_weights", "reference", "resume_from_checkpoint"},
    "generate": {"weights", "skip_prompts"},
    "evaluate": {"weights", "images"},
}
"""Settings of the stages that the loop decides itself, beside those of all three."""
SHARED = {"out", "backbone", "seed"}
NAMED = ("learning_rate", "beta_dpo", "rank")
"""Of training, options of the loop whose default is the model's own."""
OF_CLIPS = {"judged_frames", "frame_score"}


def check(settings: LoopSettings) -> None:
    """Raises ValueError for what can be seen to fail before anything is done."""
    from sipo.datagen.generation.pairing import check_policy
    from sipo.datagen.generation.prompts import asked_prompts

    for stage, decided in DECIDED.items():
        if ours := (decided | SHARED) & getattr(settings, stage).keys():
            raise ValueError(
                f"--{stage} {min(ours)}=... is decided by the loop itself; leave it out"
            )
    _check_judges(settings)
    held_out, learning = evaluation(settings, 0), shards(settings, 1)
    held_out.check()
    measured, source = wanted_prompts(held_out), held_out.prompts or held_out.suite or "mini"
    check_prompts(held_out.judge, measured, source, held_out.judge_settings, "--evaluator")
    check_prompts(settings.judge, measured, source, settings.judge_settings)
    check_policy(learning.policy)
    prompts = read_prompts(settings.prompts) if settings.prompts else load_suite(settings.suite)
    needed = settings.rounds * settings.num_prompts
    if len(prompts) < needed:
        raise ValueError(
            f"--rounds {settings.rounds} x --num-prompts {settings.num_prompts} need {needed} "
            f"prompts, each used in one round only, and there are {len(prompts)}; "
            f"set --num-prompts {len(prompts) // settings.rounds}"
        )
    asked_prompts(learning)
    source = settings.prompts or settings.suite
    check_prompts(settings.judge, prompts[:needed], source, settings.judge_settings)
    _warn_of_tags_used_up(settings, prompts)
    training(settings, 1)


def _check_judges(settings: LoopSettings) -> None:
    """They can be had for this model, and the one that measures gives no reward."""
    check_name(settings.backbone)
    judge, evaluator = (
        str(extra.get("judge", named))
        for extra, named in (
            (settings.generate, settings.judge),
            (settings.evaluate, settings.evaluator),
        )
    )
    rewarding = {name for name, _ in split_names(judge)} - {"fake"}
    measuring = {name for name, _ in split_names(evaluator, "--evaluator")}
    if shared := rewarding & measuring:
        raise ValueError(
            f"--evaluator {min(shared)!r} also chooses winners, so what it measures would be what "
            "was trained for; give a judge that is not in --judge"
        )
    if not in_embedded_world(settings.backbone, settings.suite):
        weights = settings.generate.get("judge_weights", settings.judge_weights)
        require_published(judge, weights)
        weights = settings.evaluate.get("judge_weights", settings.evaluator_weights)
        require_published(evaluator, weights, "--evaluator")


def _warn_of_tags_used_up(settings: LoopSettings, prompts: Sequence[Prompt]) -> None:
    """A round without a tag forgets it: docs/methods.md has a third round that undid the first."""
    size = settings.num_prompts
    by_round = [
        {prompt.tag for prompt in prompts[first : first + size]}
        for first in range(0, settings.rounds * size, size)
    ]
    for number, tags in enumerate(by_round, 1):
        if lost := by_round[0] - tags:
            logging.getLogger(__name__).warning(
                "round %d has no prompts of %s left (each is used in one round only), and what is "
                "not trained is forgotten; give --prompts with more of them, or fewer --rounds",
                number,
                ", ".join(sorted(lost)),
            )
            return


def trained_weights(settings: LoopSettings, number: int) -> Path | None:
    """The weights that round `number` ends with; None for the base."""
    return settings.out / f"round-{number}" / "train" if number else None


def evaluation(settings: LoopSettings, number: int) -> EvalSettings:
    """Held-out prompts, sampled and judged by the independent evaluator."""
    asked: dict[str, object] = {
        "backbone": settings.backbone,
        "weights": trained_weights(settings, number),
        "suite": None if settings.eval_prompts else settings.eval_suite,
        "prompts": settings.eval_prompts,
        "judge": settings.evaluator,
        "judge_weights": settings.evaluator_weights,
        "judge_settings": settings.judge_settings,
        "images_per_prompt": settings.images_per_prompt,
        "seed": settings.seed,
        **sampler_settings(settings),
        "out": settings.out / f"round-{number}" / "eval",
    }
    asked.update(settings.evaluate)  # what --evaluate NAME=VALUE says is done
    return EvalSettings.model_validate(asked)


def second_opinion(settings: LoopSettings, number: int) -> EvalSettings:
    """The same images, seen by the judge that chooses winners: a gain only it sees is its own."""
    asked: dict[str, object] = {
        "images": settings.out / f"round-{number}" / "eval",
        "judge": settings.judge,
        "judge_weights": settings.judge_weights,
        "judge_settings": settings.judge_settings,
        "images_per_prompt": evaluation(settings, number).images_per_prompt,
        "out": settings.out / f"round-{number}" / "eval-judge",
    }
    asked.update((name, settings.generate[name]) for name in OF_CLIPS & settings.generate.keys())
    return EvalSettings.model_validate(asked)


def shards(settings: LoopSettings, number: int) -> sipo.datagen.settings.GenerateSettings:
    """Candidates of the policy before, on prompts that no earlier round has used."""
    from sipo.datagen.settings import GenerateSettings

    asked: dict[str, object] = {
        **generate_layer(settings.backbone).values,
        "backbone": settings.backbone,
        "weights": trained_weights(settings, number - 1),
        "suite": None if settings.prompts else settings.suite,
        "prompts": settings.prompts,
        "num_prompts": settings.num_prompts,
        "skip_prompts": (number - 1) * settings.num_prompts,
        "judge": settings.judge,
        "judge_weights": settings.judge_weights,
        "judge_settings": settings.judge_settings,
        "candidates": settings.candidates,
        "policy": settings.policy,
        "margin": settings.margin,
        "seed": settings.seed + number,  # never the noise that is evaluated with
        **sampler_settings(settings),
        "out": settings.out / f"round-{number}" / "shards",
    }
    asked.update(settings.generate)  # what --generate NAME=VALUE says is done
    return GenerateSettings.model_validate(asked)


def training(settings: LoopSettings, number: int) -> TrainSettings:
    """From the policy before; rewards are against the base or against that policy.

    The loop's settings, which know the model's file, go over what else that says, --train over all.
    """
    from sipo.train.settings import make_settings
    from sipo.train.train_defaults import model_layer

    before = trained_weights(settings, number - 1)
    asked: dict[str, object] = {
        **model_layer(settings.backbone, settings.objective).values,
        "data": [str(settings.out / f"round-{number}" / "shards")],
        "out": str(settings.out / f"round-{number}" / "train"),
        "backbone": settings.backbone,
        "objective": settings.objective,
        "max_train_steps": settings.max_train_steps,
        "train_batch_size": settings.train_batch_size,
        "init_weights": str(before) if before else None,
        "reference": "init" if before and settings.reference == "previous" else "base",
        "seed": settings.seed + number,
        "workers": _workers(settings.train_batch_size),
    }
    options = {name: getattr(settings, name) for name in NAMED}
    asked.update((name, value) for name, value in options.items() if value is not None)
    asked.update(settings.train)  # what --train NAME=VALUE says is done
    return make_settings(asked)


def _workers(batch: int) -> int:
    """Training processes on a CPU: one a core, as far as they share a batch evenly."""
    from sipo.common.cpu_workers import workers_for
    from sipo.common.devices import find_device

    most = workers_for(find_device("auto").type)
    return max(count for count in range(1, most + 1) if batch % count == 0)
