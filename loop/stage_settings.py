"""What every stage of a loop is asked to do: the loop's settings in each stage's own words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sipo.backbones.settings import sampler_settings
from sipo.datagen.generate_defaults import model_layer as generate_layer
from sipo.geneval.settings import EvalSettings
from sipo.loop.attempts import BASE, Attempt
from sipo.loop.course import Course
from sipo.loop.settings import LoopSettings
from sipo.loop.training_data import shards_name, turns

if TYPE_CHECKING:
    import sipo.datagen.settings
    from sipo.train.settings import TrainSettings

DECIDED = {
    "train": {"data", "init_weights", "reference", "resume_from_checkpoint", "steps_per_folder"}
    | {"push_to_hub", "hub_model_id", "hub_private"},  # `sipo-train push OUT/best` does that
    "generate": {"weights", "skip_prompts", "num_prompts", "prompts", "suite"},
    "evaluate": {"weights", "images"},
}
"""Settings of the stages that the loop decides itself, beside those of all three."""
SHARED = {"out", "backbone", "seed"}
NAMED = ("learning_rate", "beta_dpo", "rank")
"""Of training, options of the loop whose default is the model's own."""
OF_CLIPS = {"judged_frames", "frame_score"}
ROUNDS_AT_MOST = 1_000_000
"""So far are the seeds of a round's samplings apart, those of two rounds by one."""


def trained_weights(settings: LoopSettings, attempt: Attempt) -> Path | None:
    """The policy that it ends with; None for the base."""
    return None if attempt == BASE else settings.out / attempt.name("train")


def beginning(settings: LoopSettings, course: Course) -> Attempt:
    """The policy that a round samples from and, but for --start base, begins its training from."""
    return course.best if settings.start == "best" else course.now


def evaluation(settings: LoopSettings, attempt: Attempt) -> EvalSettings:
    """Held-out prompts, sampled and judged by the independent evaluator."""
    suite = None if settings.eval_prompts else settings.eval_suite
    return _evaluation(settings, attempt, "eval", suite, settings.eval_prompts)


def final_test(settings: LoopSettings, attempt: Attempt) -> EvalSettings:
    """Prompts that no choice has looked at."""
    suite = None if settings.test_prompts else settings.test_suite
    return _evaluation(settings, attempt, "test", suite, settings.test_prompts)


def _evaluation(
    settings: LoopSettings, attempt: Attempt, stage: str, suite: str | None, prompts: Path | None
) -> EvalSettings:
    asked: dict[str, object] = {
        "backbone": settings.backbone,
        "weights": trained_weights(settings, attempt),
        "suite": suite,
        "prompts": prompts,
        "judge": settings.evaluator,
        "judge_weights": settings.evaluator_weights,
        "judge_settings": settings.judge_settings,
        "images_per_prompt": settings.images_per_prompt,
        "seed": settings.seed,
        **sampler_settings(settings),
        "devices": settings.devices,
        "out": settings.out / attempt.name(stage),
    }
    asked.update(settings.evaluate)  # what --evaluate NAME=VALUE says is done
    return EvalSettings.model_validate(asked)


def second_opinion(settings: LoopSettings, attempt: Attempt) -> EvalSettings:
    """The same images, seen by the judge that chooses winners: a gain only it sees is its own."""
    asked: dict[str, object] = {
        "images": settings.out / attempt.name("eval"),
        "judge": settings.judge,
        "judge_weights": settings.judge_weights,
        "judge_settings": settings.judge_settings,
        "images_per_prompt": evaluation(settings, attempt).images_per_prompt,
        "devices": settings.devices,
        "out": settings.out / attempt.name("eval-judge"),
    }
    asked.update((name, settings.generate[name]) for name in OF_CLIPS & settings.generate.keys())
    return EvalSettings.model_validate(asked)


def shards(
    settings: LoopSettings, attempt: Attempt, weights: Path | None, turn: int = 1
) -> sipo.datagen.settings.GenerateSettings:
    """Candidates of that policy. Their prompts are handed over beside them."""
    from sipo.datagen.settings import GenerateSettings

    asked: dict[str, object] = {
        **generate_layer(settings.backbone).values,
        "backbone": settings.backbone,
        "weights": weights,
        "suite": None if settings.prompts else settings.suite,
        "prompts": settings.prompts,
        "num_prompts": settings.num_prompts,
        "judge": settings.judge,
        "judge_weights": settings.judge_weights,
        "judge_settings": settings.judge_settings,
        "candidates": settings.candidates,
        "allocate": settings.allocate,
        "policy": settings.policy,
        "margin": settings.margin,
        # never the noise that is evaluated with, nor that of another round or turn
        "seed": settings.seed + attempt.round + (turn - 1) * ROUNDS_AT_MOST,
        **sampler_settings(settings),
        "devices": settings.devices,
        "out": settings.out / shards_name(attempt, turn),
    }
    asked.update(settings.generate)  # what --generate NAME=VALUE says is done
    return GenerateSettings.model_validate(asked)


def training(
    settings: LoopSettings,
    attempt: Attempt,
    policy: Attempt,
    data: Sequence[str] = (),
    slower: float = 1.0,
    workers: int | None = None,
) -> TrainSettings:
    """From that policy, or from the base on the pairs of all rounds; see --start and --reference.
    The learning rate is `slower` times what it would be; and --later-rate where it goes on from a
    trained policy, which what teaches a new LoRA would undo.

    The loop's settings, which know the model's file, go over what else that says, --train over all.
    """
    from sipo.train.settings import make_settings
    from sipo.train.train_defaults import model_layer

    before = None if settings.start == "base" else trained_weights(settings, policy)
    asked: dict[str, object] = {
        **model_layer(settings.backbone, settings.objective).values,
        "data": list(data),
        "out": str(settings.out / attempt.name("train")),
        "backbone": settings.backbone,
        "objective": settings.objective,
        "max_train_steps": settings.max_train_steps,
        "train_batch_size": settings.train_batch_size,
        "steps_per_folder": settings.refresh,
        "init_weights": str(before) if before else None,
        "reference": _reference(settings, before),
        "seed": settings.seed + attempt.round,
        "workers": workers or _workers(settings.train_batch_size),
        "stop_on_nan": True,  # the round is trained again, slower
    }
    options = {name: getattr(settings, name) for name in NAMED}
    asked.update((name, value) for name, value in options.items() if value is not None)
    asked.update(settings.train)  # what --train NAME=VALUE says is done
    made = make_settings(asked)
    rate = made.learning_rate * slower * (settings.later_rate if before else 1)
    return made.model_copy(update={"learning_rate": rate})


def _reference(settings: LoopSettings, before: Path | None) -> str:
    """In sipo-train's words; before the first round the previous policy is the base."""
    if settings.reference == "previous":
        return "init" if before else "base"
    return settings.reference


def turns_of(settings: LoopSettings) -> int:
    """How often a round samples: once, or with --refresh as long as it is trained."""
    asked = training(settings, Attempt(1), BASE, workers=1)  # whoever shares it, and without torch
    return turns(settings, asked.max_train_steps or 1)


def mid_weights(settings: LoopSettings, attempt: Attempt, turn: int) -> Path:
    """The policy in training that this turn, from the second on, samples from."""
    step = (turn - 1) * (settings.refresh or 0)
    return settings.out / attempt.name("train") / f"checkpoint-{step}"


def _workers(batch: int) -> int:
    """Training processes on a CPU: one a core, as far as they share a batch evenly."""
    from sipo.common.cpu_workers import workers_for
    from sipo.common.devices import find_device

    most = workers_for(find_device("auto").type)
    return max(count for count in range(1, most + 1) if batch % count == 0)
