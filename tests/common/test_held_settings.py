"""The one guard of folders against other settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from sipo.common.resume_guard import Among, Difference, first_difference, option_of, refuse

BEFORE = {"seed": 0, "sampler": {"steps": 2, "guidance": 1.0}, "judge": {"members": [{"id": "a"}]}}


@pytest.mark.parametrize(
    ("now", "among", "found"),
    [
        (BEFORE, "all", None),
        (BEFORE | {"sampler": {"steps": 2.0, "guidance": 1}}, "all", None),
        ({"sampler": {"steps": 3}}, "all", Difference("sampler.steps", 2, 3)),
        ({"sampler": {"steps": 2}}, "all", Difference("seed", 0, None)),
        ({"sampler": {"steps": 2}}, "asked", None),
        ({"dtype": "float16"}, "asked", Difference("dtype", None, "float16")),
        ({"dtype": "float16"}, "shared", None),
        (
            {"judge": {"members": [{"id": "b"}]}},
            "asked",
            Difference("judge.members.0.id", "a", "b"),
        ),
        ({"sampler": None}, "asked", Difference("sampler.steps", 2, None)),
        ({"seed": 1, "sampler": {"steps": 3}}, "shared", Difference("seed", 0, 1)),
    ],
)
def test_the_first_difference(
    now: dict[str, object], among: Among, found: Difference | None
) -> None:
    assert first_difference(BEFORE, now, among) == found


def test_lists_are_tuples_as_json_has_them() -> None:
    assert first_difference({"range": [0, 1]}, {"range": (0, 1)}) is None
    assert first_difference({"range": [0, 1]}, {"range": [0, 2]}) == Difference(
        "range", [0, 1], [0, 2]
    )


def test_the_option_of_a_setting() -> None:
    options = {"sampler": "--{leaf}", "prompts.sha256": "--prompts", "judge": "--judge ({name})"}
    assert option_of("max_pairs", options) == "--max-pairs"
    assert option_of("sampler.num_steps", options) == "--num-steps"
    assert option_of("prompts.sha256", options) == "--prompts"
    assert option_of("judge.top_k", options) == "--judge (judge.top_k)"
    assert option_of("versions.torch", options) == "versions.torch"


def test_the_sentence_says_what_it_was_and_what_it_is() -> None:
    with pytest.raises(ValueError, match=r"^out was started with --seed 0, this command says 1; "):
        refuse(Path("out"), "--seed", Difference("seed", 0, 1))
