"""What a loop asks of training where nothing is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sipo.geneval.evaluation_folder import hold
from sipo.loop.attempts import BASE, Attempt
from sipo.loop.refusals import check
from sipo.loop.settings import LoopSettings
from sipo.loop.stage_settings import (
    evaluation,
    mid_weights,
    second_opinion,
    shards,
    training,
    turns_of,
)

FIRST = Attempt(1)


@pytest.mark.parametrize(
    ("given", "learning_rate", "beta_dpo", "train_timesteps"),
    [
        ({}, 3e-3, 30.0, "400:1000"),
        ({"objective": "diffusion-dpo"}, 3e-3, 5000.0, "400:1000"),
        ({"backbone": "owner/model"}, 1e-4, 1000.0, ""),  # sipo-train's own, whoever's the model
        ({"learning_rate": 1e-5, "beta_dpo": 500.0}, 1e-5, 500.0, "400:1000"),
        ({"train": {"train_timesteps": "0:1000"}}, 3e-3, 30.0, "0:1000"),
    ],
)
def test_mini_sd_alone_is_tuned(
    given: dict[str, Any], learning_rate: float, beta_dpo: float, train_timesteps: str
) -> None:
    settings = training(LoopSettings(**given), FIRST, BASE)
    asked = (settings.learning_rate, settings.beta_dpo, settings.train_timesteps)
    assert asked == (learning_rate, beta_dpo, train_timesteps)


def test_the_judge_does_not_mark_its_own_homework() -> None:
    with pytest.raises(ValueError, match="'yolo-world' also chooses winners"):
        check(LoopSettings(judge="pickscore,yolo-world", evaluator="yolo-world"))


def test_candidates_are_allocated_where_that_is_asked() -> None:
    assert shards(LoopSettings(allocate=True), FIRST, None).allocate
    assert "allocate" not in LoopSettings().config()  # or folders made before were refused


def test_a_size_is_that_of_candidates_and_evaluations() -> None:
    settings = LoopSettings(height=64, width=96, frames=9, steps=3)
    for stage in (shards(settings, Attempt(1), None), evaluation(settings, FIRST)):
        assert (stage.height, stage.width, stage.frames, stage.steps) == (64, 96, 9, 3)
    plain = shards(LoopSettings(), FIRST, None)
    assert not {"height", "width", "frames"} & plain.model_fields_set  # images have no frames


def test_what_is_evaluated_is_judged_a_second_time_whole() -> None:
    settings = LoopSettings(evaluate={"images_per_prompt": "3"})
    assert second_opinion(settings, BASE).images_per_prompt == 3


def test_a_training_after_a_rejected_one_has_half_the_learning_rate_and_the_same_start() -> None:
    settings = LoopSettings(learning_rate=1e-3)
    first = training(settings, Attempt(2), FIRST)
    again = training(settings, Attempt(2, 2), FIRST, slower=0.5)
    assert again.learning_rate == first.learning_rate / 2
    assert first.out.endswith("round-2/train")
    assert again.out.endswith("round-2/train-2")
    assert (first.data, first.init_weights, first.seed) == (
        again.data,
        again.init_weights,
        again.seed,
    )


def test_what_goes_on_from_a_trained_policy_has_a_lower_rate() -> None:
    def rate(attempt: Attempt, policy: Attempt, **given: Any) -> float:
        return training(LoopSettings(learning_rate=1e-3, **given), attempt, policy).learning_rate

    assert rate(FIRST, BASE) == 1e-3
    assert rate(Attempt(2), FIRST) == pytest.approx(3e-4)
    assert rate(Attempt(2), FIRST, later_rate=1) == 1e-3
    assert rate(Attempt(2), FIRST, start="base") == 1e-3  # a new LoRA
    assert rate(Attempt(2), BASE) == 1e-3  # round 1 was skipped


@pytest.mark.parametrize(
    ("start", "reference", "init", "against"),
    [
        ("previous", "base", "round-1/train-2", "base"),
        ("best", "previous", "round-1/train-2", "init"),
        ("base", "previous", "", "base"),
        ("previous", "moving", "round-1/train-2", "moving"),
    ],
)
def test_where_a_round_begins(start: str, reference: str, init: str, against: str) -> None:
    settings = LoopSettings(start=start, reference=reference)
    made = training(settings, Attempt(3), Attempt(1, 2))
    assert made.init_weights.removeprefix(f"{settings.out}/") == init
    assert made.reference == against


def test_refreshed_samplings_have_prompts_and_seeds_of_their_own() -> None:
    settings = LoopSettings(refresh=200, max_train_steps=500)
    assert turns_of(settings) == 3
    assert turns_of(LoopSettings()) == 1
    again = Attempt(2, 2)
    made = [shards(settings, again, mid_weights(settings, again, 3), turn) for turn in (1, 3)]
    names = [one.out.relative_to(settings.out).as_posix() for one in made]
    assert names == ["round-2/shards", "round-2/shards-3-2"]
    assert made[1].weights == settings.out / "round-2/train-2/checkpoint-400"
    assert made[0].seed != made[1].seed
    assert training(settings, again, BASE).steps_per_folder == 200


def test_a_loop_begun_before_later_rounds_had_a_rate_of_their_own_goes_on(tmp_path: Path) -> None:
    folder = {k: v for k, v in LoopSettings().config().items() if k != "later_rate"}
    hold(tmp_path, folder)
    hold(tmp_path, LoopSettings(later_rate=1).config())
    with pytest.raises(ValueError, match="--later-rate"):
        hold(tmp_path, LoopSettings().config())
