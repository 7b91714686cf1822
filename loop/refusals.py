"""What can be seen to fail before anything is done."""

from __future__ import annotations

from itertools import chain, islice
from pathlib import Path

from sipo.backbones.loading.names import check_name, in_embedded_world
from sipo.feedback.prompts.demands import check_prompts, require_published
from sipo.feedback.registry import split_names
from sipo.geneval.settings import wanted_prompts
from sipo.geneval.summary import prompts_sha256
from sipo.loop import stage_settings
from sipo.loop.attempts import BASE, Attempt
from sipo.loop.round_prompts import check_enough, samplings
from sipo.loop.settings import NO_TEST, LoopSettings
from sipo.loop.stage_settings import DECIDED, SHARED, evaluation, shards, turns_of


def check(settings: LoopSettings) -> None:
    """Raises ValueError for it, in words of the option that is wrong."""
    from sipo.datagen.generation.pairing import check_policy

    for stage, decided in DECIDED.items():
        if ours := (decided | SHARED) & getattr(settings, stage).keys():
            raise ValueError(
                f"--{stage} {min(ours)}=... is decided by the loop itself; leave it out"
            )
    _check_judges(settings)
    _check_held_out(settings)
    check_policy(shards(settings, Attempt(1), None).policy)
    count = settings.rounds * turns_of(settings)
    check_enough(settings, count)
    learnt = list(chain.from_iterable(islice(samplings(settings), count)))
    source = settings.prompts or settings.suite
    check_prompts(settings.judge, learnt, source, settings.judge_settings)


def no_test(settings: LoopSettings) -> str | None:
    """Why nothing is tested at the end; None where something is."""
    if settings.test_suite == NO_TEST and settings.test_prompts is None:
        return f"--test-suite {NO_TEST} was asked for"
    validation = wanted_prompts(evaluation(settings, BASE))
    if prompts_sha256(wanted_prompts(stage_settings.final_test(settings, BASE))) == prompts_sha256(
        validation
    ):
        return "its prompts are those that rounds are accepted by"
    return None


def _check_held_out(settings: LoopSettings) -> None:
    asked = [evaluation(settings, BASE)]
    if settings.test_suite != NO_TEST or settings.test_prompts:
        asked.append(stage_settings.final_test(settings, BASE))
    for held_out in asked:
        held_out.check()
        measured, source = wanted_prompts(held_out), held_out.prompts or held_out.suite or "mini"
        check_prompts(held_out.judge, measured, source, held_out.judge_settings, "--evaluator")
        check_prompts(settings.judge, measured, source, settings.judge_settings)


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
    rewarding = _judges(judge, settings.judge_weights) - {"fake"}
    measuring = _judges(evaluator, settings.evaluator_weights, "--evaluator")
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


def _judges(names: str, weights: Path | None, option: str = "--judge") -> set[str]:
    """By their names; judges behind two URLs are two."""
    return {
        f"{name}={own or weights or ''}" if name == "http" else name
        for name, own in split_names(names, option)
    }
