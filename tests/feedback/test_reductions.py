"""From answers to a score, against what is worked by hand."""

from __future__ import annotations

import pytest

from sipo.feedback.prompts.prompt import Prompt, prompt_of
from sipo.feedback.prompts.question import Mean
from sipo.feedback.rule.answers import AnswerRule, answers_in
from sipo.feedback.rule.reductions import reductions, without_orphans

ASKED = prompt_of(
    {
        "prompt": "two brown dogs on grass",
        "id": "1",
        "rule": "dependent",
        "questions": [
            {"id": "on", "text": "On grass?", "parents": ["brown", "grass"]},  # children first
            {"id": "dogs", "text": "Dogs?"},
            {"id": "brown", "text": "Brown?", "parents": ["dogs"]},
            {"id": "grass", "text": "Grass?"},
        ],
    },
    "row",
)


def test_a_child_of_a_no_is_no_and_so_are_its_children() -> None:
    """No dogs: so they are not brown, and what is not brown is not on the grass."""
    found = without_orphans(ASKED.questions, [0.9, 0.4, 0.8, 0.7], 0.5)
    assert found == [0.0, 0.4, 0.0, 0.7]
    assert without_orphans(ASKED.questions, [0.9, 0.5, 0.8, 0.7], 0.5) == [0.9, 0.5, 0.8, 0.7]
    assert without_orphans(ASKED.questions, [0.9, 0.0, 0.8, 0.7], 0.0) == [0.9, 0.0, 0.8, 0.7]


@pytest.mark.parametrize(
    ("chances", "arithmetic", "dependent", "geometric"),
    [
        # (1 + 1 + 1 + 1) / 4
        ((1.0, 1.0, 1.0, 1.0), 1.0, 1.0, 1.0),
        # yes to all but the dogs: 3 / 4; only the grass is left of them: 1 / 4; a factor of 0
        ((1.0, 0.0, 1.0, 1.0), 0.75, 0.25, 0.0),
        # (.5 + .8 + .4 + .9) / 4 = 2.6 / 4; .4 is a no, so "on" is 0: 2.1 / 4; .144 ** (1 / 4)
        ((0.5, 0.8, 0.4, 0.9), 0.65, 0.525, 0.6160140576482813),
    ],
)
def test_worked_by_hand(
    chances: tuple[float, ...], arithmetic: float, dependent: float, geometric: float
) -> None:
    assert reductions(ASKED.questions, chances, 0.5) == pytest.approx(
        {"arithmetic": arithmetic, "dependent": dependent, "geometric": geometric}
    )


@pytest.mark.parametrize(
    ("setting", "own", "counts"),
    [
        (None, "dependent", "dependent"),
        (None, "arithmetic", "arithmetic"),
        (None, None, "geometric"),
        ("arithmetic", "dependent", "arithmetic"),
    ],
)
def test_the_suites_rule_counts_unless_a_setting_says_another(
    setting: Mean | None, own: Mean | None, counts: Mean
) -> None:
    prompt = ASKED.model_copy(update={"rule": own})
    verdict = AnswerRule(setting).verdict(prompt, (0.5, 0.8, 0.4, 0.9), {})
    assert verdict.score == verdict.evidence[counts]
    assert (found := answers_in(verdict.evidence)) is not None
    assert (found.rule, found.least) == (counts, 0.5)
    assert found.chances == {"on": 0.5, "dogs": 0.8, "brown": 0.4, "grass": 0.9}
    said = ["Brown? yes: 0.40"]
    assert (
        verdict.reason.split("\n")
        == (["On grass? yes: 0.00"] if counts == "dependent" else []) + said
    )
    assert not verdict.correct


def test_answers_of_clips_and_of_several_judges() -> None:
    """A clip has its frames' mean; of several judges one must be the one that asks."""
    rule = AnswerRule()
    one, two = (rule.verdict(ASKED, chances, {}) for chances in ([1.0] * 4, [0.5] * 4))
    frames = {"frames": {"0": one.model_dump(), "8": two.model_dump()}}
    assert (found := answers_in(frames)) is not None
    assert set(found.chances.values()) == {0.75}
    several = {"vlm": {"score": 1.0, **one.evidence}, "pickscore": {"score": 0.4, "raw": 21.0}}
    assert answers_in(several) == answers_in(one.evidence)
    assert answers_in({"a": one.evidence, "b": two.evidence}) is None
    assert answers_in({"answers": "yes"}) is None
    assert answers_in({"frames": {"0": {"score": 1.0}}}) is None


def test_clauses_are_asked_about_where_there_are_no_questions() -> None:
    row = {"tag": "counting", "include": [{"class": "cat", "count": 2}], "prompt": "two cats"}
    prompt, rule = prompt_of(row, "row"), AnswerRule()
    verdict = rule.verdict(prompt, [0.9, 0.4], {})
    assert verdict.score == pytest.approx(0.6)  # (.9 * .4) ** (1 / 2)
    assert "atoms" in verdict.evidence
    assert answers_in(verdict.evidence) is None
    stand_in = AnswerRule(questions={"two cats": ASKED})
    assert [one.text for one in stand_in.questions_of(prompt)][1:] == ["Dogs?", "Brown?", "Grass?"]
    other = Prompt(tag="text", include=(), text="rain")
    assert stand_in.questions_of(other) == ()
