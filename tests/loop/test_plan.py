"""What a loop asks of training where nothing is said."""

from __future__ import annotations

from typing import Any

import pytest

from sipo.loop.settings import LoopSettings
from sipo.loop.stage_settings import check, evaluation, second_opinion, shards, training


@pytest.mark.parametrize(
    ("given", "learning_rate", "beta_dpo", "train_timesteps"),
    [
        ({}, 3e-3, 100.0, "400:1000"),
        ({"objective": "diffusion-dpo"}, 3e-3, 5000.0, "400:1000"),
        ({"backbone": "owner/model"}, 1e-4, 1000.0, ""),  # sipo-train's own, whoever's the model
        ({"learning_rate": 1e-5, "beta_dpo": 500.0}, 1e-5, 500.0, "400:1000"),
        ({"train": {"train_timesteps": "0:1000"}}, 3e-3, 100.0, "0:1000"),
    ],
)
def test_mini_sd_alone_is_tuned(
    given: dict[str, Any], learning_rate: float, beta_dpo: float, train_timesteps: str
) -> None:
    settings = training(LoopSettings(**given), 1)
    asked = (settings.learning_rate, settings.beta_dpo, settings.train_timesteps)
    assert asked == (learning_rate, beta_dpo, train_timesteps)


def test_the_judge_does_not_mark_its_own_homework() -> None:
    with pytest.raises(ValueError, match="'yolo-world' also chooses winners"):
        check(LoopSettings(judge="pickscore,yolo-world", evaluator="yolo-world"))


def test_a_round_without_a_tag_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    check(LoopSettings(rounds=2, num_prompts=96))  # 16 of each tag, then no single objects
    [said] = caplog.messages
    assert said.startswith("round 2 has no prompts of single_object left")
    caplog.clear()
    check(LoopSettings(rounds=2, num_prompts=48))
    assert not caplog.messages


def test_a_size_is_that_of_candidates_and_evaluations() -> None:
    settings = LoopSettings(height=64, width=96, frames=9, steps=3)
    for stage in (shards(settings, 1), evaluation(settings, 1)):
        assert (stage.height, stage.width, stage.frames, stage.steps) == (64, 96, 9, 3)
    plain = shards(LoopSettings(), 1)
    assert not {"height", "width", "frames"} & plain.model_fields_set  # images have no frames


def test_what_is_evaluated_is_judged_a_second_time_whole() -> None:
    settings = LoopSettings(evaluate={"images_per_prompt": "3"})
    assert second_opinion(settings, 0).images_per_prompt == 3
