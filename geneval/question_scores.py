"""Scores of prompts that have questions: over all images, by group, by category of the questions.

Each by all three rules (feedback/rule/reductions.py), with 95 % intervals over prompts. `overall`
and a group are means over images. A category is over its answers, as DPG-Bench reports it; its
geometric mean is that of an image's questions of the category, weighted by their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import get_args

from sipo.common.records import Record
from sipo.common.statistics import OVERALL, Difference, Estimate, differences, estimates
from sipo.feedback.prompts.prompt import Prompt, parse_prompt
from sipo.feedback.prompts.question import Mean
from sipo.feedback.rule.reductions import reductions, without_orphans
from sipo.geneval.results import ImageResult

RULES: tuple[Mean, ...] = get_args(Mean)
Three = tuple[float, ...]
"""One value for each of RULES."""


class RuleScores(Record):
    prompts: int
    images: int
    arithmetic: Estimate
    dependent: Estimate
    geometric: Estimate


class QuestionScores(Record):
    """`rule` is the one by which images were scored; None where prompts differ in it."""

    suites: list[str]  # that the prompts are of; "questions" where they name none
    rule: Mean | None
    overall: RuleScores
    groups: dict[str, RuleScores]
    categories: dict[str, RuleScores]


class QuestionGains(Record):
    """Differences b - a, paired by prompt: `overall` by each rule, the others by `rule`."""

    rule: Mean
    overall: dict[Mean, Difference]
    groups: dict[str, Difference]
    categories: dict[str, Difference]


@dataclass(frozen=True)
class _Scored:
    """`values`: of an image one, or of a category one an answer. `prompt` is its row as JSON."""

    prompt: str
    image: str
    values: tuple[Three, ...]


_Table = dict[str, list[_Scored]]
"""By group or category, as they come."""


def question_scores(rows: Iterable[ImageResult]) -> QuestionScores | None:
    """Of the rows that have answers to their prompt's own questions; None without any."""
    answered = _answered(rows)
    if not answered:
        return None
    images = [_of_image(row, prompt) for row, prompt in answered]
    groups, categories = _tables(answered, images)
    suites = dict.fromkeys(prompt.suite or "questions" for _, prompt in answered)
    rules = {row.answers.rule for row, _ in answered if row.answers}
    return QuestionScores(
        suites=list(suites),
        rule=rules.pop() if len(rules) == 1 else None,
        overall=_scores(images),
        groups={name: _scores(scored) for name, scored in groups.items()},
        categories={name: _scores(scored) for name, scored in categories.items()},
    )


def question_gains(
    a: Iterable[ImageResult], b: Iterable[ImageResult], rule: Mean
) -> QuestionGains | None:
    """Of the prompts that both have answers of; None without such."""
    sides = [_answered(rows) for rows in (a, b)]
    both = set.intersection(*({row.metadata for row, _ in side} for side in sides))
    if not both:
        return None
    before, after = ([pair for pair in side if pair[0].metadata in both] for side in sides)
    images_a, images_b = ([_of_image(*pair) for pair in side] for side in (before, after))
    whole_a, whole_b = {OVERALL: images_a}, {OVERALL: images_b}
    groups_a, categories_a = _tables(before, images_a)
    groups_b, categories_b = _tables(after, images_b)
    return QuestionGains(
        rule=rule,
        overall={one: _gains(whole_a, whole_b, one)[OVERALL] for one in RULES},
        groups=_gains(groups_a, groups_b, rule),
        categories=_gains(categories_a, categories_b, rule),
    )


def _answered(rows: Iterable[ImageResult]) -> list[tuple[ImageResult, Prompt]]:
    """Other ids are of questions that stood in for the prompt's own (judge setting questions)."""
    read = cache(lambda metadata: parse_prompt(metadata, "results.jsonl, metadata"))
    found = [(row, read(row.metadata)) for row in rows if row.answers]
    return [
        (row, prompt)
        for row, prompt in found
        if row.answers and row.answers.chances.keys() == {one.id for one in prompt.questions}
    ]


def _chances(row: ImageResult, prompt: Prompt) -> list[float]:
    assert row.answers is not None
    return [row.answers.chances[one.id] for one in prompt.questions]


def _of_image(row: ImageResult, prompt: Prompt) -> _Scored:
    assert row.answers is not None
    found = reductions(prompt.questions, _chances(row, prompt), row.answers.least)
    return _Scored(row.metadata, row.filename, (tuple(found[rule] for rule in RULES),))


def _of_categories(row: ImageResult, prompt: Prompt) -> Iterator[tuple[str, _Scored]]:
    assert row.answers is not None
    chances = _chances(row, prompt)
    kept = without_orphans(prompt.questions, chances, row.answers.least)
    by_name: dict[str, list[int]] = {}
    for number, one in enumerate(prompt.questions):
        if one.category is not None:
            by_name.setdefault(one.category, []).append(number)
    for name, numbers in by_name.items():
        some = [prompt.questions[n].model_copy(update={"parents": ()}) for n in numbers]
        whole = reductions(some, [chances[n] for n in numbers], row.answers.least)["geometric"]
        values = tuple((chances[n], kept[n], whole) for n in numbers)
        yield name, _Scored(row.metadata, row.filename, values)


def _tables(
    answered: Sequence[tuple[ImageResult, Prompt]], images: Sequence[_Scored]
) -> tuple[_Table, _Table]:
    """(groups, categories); `images` are scored as a whole already."""
    groups: _Table = {}
    categories: _Table = {}
    for (row, prompt), image in zip(answered, images, strict=True):
        if prompt.group is not None:
            groups.setdefault(prompt.group, []).append(image)
        for name, scored in _of_categories(row, prompt):
            categories.setdefault(name, []).append(scored)
    return groups, categories


def _scores(scored: Sequence[_Scored]) -> RuleScores:
    found = estimates((one.prompt, three) for one in scored for three in one.values)
    return RuleScores(
        prompts=len({one.prompt for one in scored}),
        images=len({one.image for one in scored}),
        **dict(zip(RULES, found, strict=True)),
    )


def _gains(
    a: Mapping[str, Sequence[_Scored]], b: Mapping[str, Sequence[_Scored]], rule: Mean
) -> dict[str, Difference]:
    """By stratum, each for itself."""
    found = {}
    for name in a:
        sides = [{OVERALL: _units(table[name], rule)} for table in (a, b)]
        found[name] = differences(*sides)[OVERALL]
    return found


def _units(scored: Sequence[_Scored], rule: Mean) -> dict[str, tuple[float, float]]:
    column, units = RULES.index(rule), dict[str, tuple[float, float]]()
    for one in sorted(scored, key=lambda one: one.prompt):
        total, count = units.get(one.prompt, (0.0, 0.0))
        values = [three[column] for three in one.values]
        units[one.prompt] = (total + sum(values), count + len(values))
    return units
