"""Every suite's score on answers made by hand, against what is worked by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import suite_samples as samples

from sipo.feedback.prompts.prompt import Prompt, read_prompts
from sipo.feedback.prompts.question import Mean
from sipo.feedback.rule.answers import AnswerRule
from sipo.geneval.question_scores import question_gains, question_scores
from sipo.geneval.results import ImageResult, read_rows, to_row, write_rows


def answered(prompts: Sequence[Prompt], chances: Sequence[Sequence[float]]) -> list[ImageResult]:
    """An image a prompt; `chances` of the right answers."""
    return [
        to_row(f"{n:05d}/samples/0000.png", one, AnswerRule().verdict(one, found, {}), 1.0)
        for n, (one, found) in enumerate(zip(prompts, chances, strict=True))
    ]


@pytest.mark.parametrize(
    ("make", "chances", "rule", "overall", "groups", "categories"),
    [
        # the cube root of .9 * .4 * .8 = .288, and .5
        (
            samples.geneval2,
            [[0.9, 0.4, 0.8], [0.5]],
            "geometric",
            (0.288 ** (1 / 3) + 0.5) / 2,
            {"3 atoms": 0.288 ** (1 / 3), "1 atoms": 0.5},
            {"object": 0.9, "count": 0.4, "attribute": 0.8},
        ),
        # dogs 1.9 of 4, for the brown is a no; rain 1 of 2 (both as in test_suite_evaluation.py)
        (
            samples.dpg_rows,
            [[0.9, 0.2, 0.8, 0.7], [0.6, 0.4]],
            "dependent",
            (1.9 / 4 + 1 / 2) / 2,
            {},
            {"entity": 0.7, "attribute": 0.2, "relation": 0.0, "global": 0.6},
        ),
        # short 1 of 2, long 2 of 2; the type has 3 of 4
        (
            samples.tiif,
            [[1.0, 0.0], [1.0, 1.0]],
            "arithmetic",
            0.75,
            {"short": 0.5, "long": 1.0},
            {"2d_spatial_relation": 0.75},
        ),
        (
            samples.unigenbench,
            [[1.0, 0.0], [1.0, 1.0]],
            "arithmetic",
            0.75,
            {},
            {"Style": 1.0, "Attribute - Color": 0.5},
        ),
        # no key, so it is not by the clock: .9 + .3 of 3; no man, so he does not read: .2 of 2
        (
            samples.oneig,
            [[0.9, 0.3, 0.8], [0.2, 0.9]],
            "dependent",
            (0.4 + 0.1) / 2,
            {"object": 0.4, "human": 0.1},
            {},
        ),
        # 1 of 2, and 1 of 1
        (
            samples.corebench,
            [[1.0, 0.0], [1.0]],
            "arithmetic",
            0.75,
            {"C-MI": 0.75},
            {"instance": 1.0},
        ),
    ],
)
def test_a_suites_score(
    tmp_path: Path,
    make: Callable[[Path], Path],
    chances: Sequence[Sequence[float]],
    rule: Mean,
    overall: float,
    groups: dict[str, float],
    categories: dict[str, float],
) -> None:
    rows = answered(read_prompts(make(tmp_path)), chances)
    write_rows(rows, tmp_path / "results.jsonl")
    found = question_scores(read_rows(tmp_path / "results.jsonl"))
    assert found is not None
    assert found.rule == rule
    assert getattr(found.overall, rule).value == pytest.approx(overall)

    def by_rule(table: dict[str, object]) -> dict[str, float]:
        return {name: getattr(row, rule).value for name, row in table.items()}

    assert by_rule({**found.groups}) == pytest.approx(groups)
    assert by_rule({**found.categories}) == pytest.approx(categories)


def test_prompts_that_differ_in_their_rule_have_none_together(tmp_path: Path) -> None:
    dpg, uni = read_prompts(samples.dpg_csv(tmp_path))[1], samples.unigenbench(tmp_path)
    rows = answered([dpg, read_prompts(uni)[0]], [[1.0, 0.0]] * 2)
    found = question_scores(rows)
    assert found is not None
    assert (found.rule, found.suites) == (None, ["dpg", "unigenbench"])
    assert found.overall.prompts == 2


def test_who_has_no_answers_is_in_no_score(tmp_path: Path) -> None:
    """A prompt without questions, and one whose questions another file's stood in for."""
    dogs, rain = read_prompts(samples.dpg_csv(tmp_path))
    plain = rain.model_copy(update={"questions": (), "id": None, "rule": None})
    stood_in = AnswerRule(
        questions={rain.text: rain.model_copy(update={"questions": dogs.questions})}
    )
    other = to_row("b.png", rain, stood_in.verdict(rain, [1.0] * 4, {}), 1.0)
    bare = ImageResult(**dict(other, prompt=plain.text, metadata=plain.to_json(), answers=None))
    assert question_scores([other, bare]) is None
    assert question_gains([other], [bare], "arithmetic") is None
    [row] = answered([dogs], [[1.0] * 4])
    assert (found := question_scores([row, other, bare])) is not None
    assert found.overall.images == 1
