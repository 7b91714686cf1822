"""The decision rule: from boxes to a verdict. Pure functions, no detector, no image.

Official rule: djghosh13/geneval, `evaluation/evaluate_images.py`, `evaluate`; for official prompts
results are the official ones. What it cannot judge is judged here: several clauses of one class
(assignment.py), a position by a later clause, counts over 16, an excluded colour. The graded score
is ours (see `_grade`); the form it replaces is flow_grpo's, whose faults are named there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from sipo.feedback.prompts.clause import Clause
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.assignment import Boxes, assign, holds, targets_first
from sipo.feedback.rule.boxes import Box, relations, sureness
from sipo.feedback.rule.complaint import Complaint, in_english, in_words

MAX_PER_CLASS = 16  # official, MAX_OBJECTS
_CORRECT_FLOOR = 0.9  # scores of correct images lie in [0.9, 1], of all others in [0, 0.85]
_WRONG_CEILING = 0.85
_CONFIDENCE_SHARE = 0.1  # of a score that the detector's confidence may decide


class Verdict(BaseModel):
    """A judge's word on one image. `score` in [0, 1]; None when the judge failed, never a 0.

    Its JSON has the complaints in English, too, as `reason`; where it has that alone (a judge's own
    words, folders of earlier versions) it is one complaint of kind "other".
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None
    correct: bool
    complaints: tuple[Complaint, ...] = ()  # which clauses fail and how; () when correct
    boxes: tuple[Box, ...] = ()
    judge: dict[str, object] = {}  # id, weights hash, thresholds
    failure: str | None = None  # the cause when the judge could not look at the image
    evidence: dict[str, object] = {}  # what else was seen: raw scores, answers, members' verdicts

    @property
    def reason(self) -> str:
        return in_english(self.complaints)

    @model_validator(mode="before")
    @classmethod
    def _words_alone(cls, given: object) -> object:
        if not isinstance(given, dict) or not isinstance(given.get("reason"), str):
            return given
        row = {"complaints": in_words(given["reason"]), **given}
        return {name: value for name, value in row.items() if name != "reason"}

    @model_serializer(mode="wrap")
    def _row(self, write: SerializerFunctionWrapHandler) -> dict[str, object]:
        row: dict[str, object] = {**write(self), "reason": self.reason}
        return row if self.evidence else {k: v for k, v in row.items() if k != "evidence"}

    @model_validator(mode="after")
    def _fails_or_scores(self) -> Verdict:
        if (self.score is None) != (self.failure is not None):
            raise ValueError("a verdict has a score, or a failure that says why it has none")
        return self

    @property
    def failed(self) -> bool:
        return self.failure is not None


def failed_verdict(cause: str, judge: dict[str, object]) -> Verdict:
    return Verdict(score=None, correct=False, judge=judge, failure=cause)


def decide(prompt: Prompt, boxes: Iterable[Box], judge: dict[str, object] | None = None) -> Verdict:
    """Judge one image by its boxes, which are already over the detector's threshold."""
    if not prompt.include:
        return failed_verdict("the prompt is plain text, without clauses to check", judge or {})
    by_class = _strongest_first(prompt, boxes)
    mine = assign(prompt, by_class)
    complaints = [*_missing(prompt, by_class, mine), *_unwanted(prompt, by_class)]
    return Verdict(
        score=_grade(prompt, by_class, mine, correct=not complaints),
        correct=not complaints,
        complaints=tuple({str(one): one for one in complaints}.values()),
        boxes=tuple(box for group in by_class.values() for box in group),
        judge=judge or {},
    )


def most_of_a_class(prompt: Prompt, name: str) -> int:
    """How many boxes of a class are looked at.

    Officially 16, which for 16 and more cannot tell right from wrong; so where a prompt asks for
    more it is twice as many, from where on the graded score is 0 anyway.
    """
    asked = sum(clause.count for clause in prompt.include if clause.class_name == name)
    excluded = (clause.count for clause in prompt.exclude if clause.class_name == name)
    return max(MAX_PER_CLASS, 2 * asked, *excluded)


def _strongest_first(prompt: Prompt, boxes: Iterable[Box]) -> dict[str, list[Box]]:
    by_class: dict[str, list[Box]] = {}
    for box in sorted(boxes, key=sureness):
        by_class.setdefault(box.class_name, []).append(box)
    return {name: group[: most_of_a_class(prompt, name)] for name, group in by_class.items()}


def _missing(prompt: Prompt, by_class: Boxes, mine: Sequence[Sequence[Box]]) -> list[Complaint]:
    """Why include clauses fail, in their order. One fails with the one that it is placed by."""
    complaints = [_number_and_color(prompt, i, by_class, mine[i]) for i in range(len(mine))]
    for i in targets_first(prompt.include):
        complaints[i] = complaints[i] or _place(prompt.include[i], mine[i], mine, complaints)
    return [complaint for complaint in complaints if complaint]


def _number_and_color(
    prompt: Prompt, i: int, by_class: Boxes, found: Sequence[Box]
) -> Complaint | None:
    """Why clause `i` fails but for its place; None when it holds."""
    clause = prompt.include[i]
    name = clause.class_name
    if len(found) < clause.count:
        asked = sum(other.count for other in prompt.include if other.class_name == name)
        seen = len(by_class.get(name, ()))
        return Complaint(name, "count" if seen else "missing", asked, seen)
    if clause.color and any(box.color != clause.color for box in found):
        colors = sorted(box.color or "unknown" for box in found)
        return Complaint(name, "colour", clause.color, tuple(colors))
    return None


def _place(
    clause: Clause,
    found: Sequence[Box],
    mine: Sequence[Sequence[Box]],
    complaints: Sequence[Complaint | None],
) -> Complaint | None:
    """Why a clause that is there is not where it should be."""
    if clause.position is None:
        return None
    relation, target = clause.position
    if complaints[target]:
        return Complaint(clause.class_name, "target", relation, "")
    held = (relations(box.xyxy, other.xyxy) for box in found for other in mine[target])
    wrong = next((names for names in held if relation not in names), None)
    if wrong is None:
        return None
    return Complaint(clause.class_name, "position", relation, tuple(sorted(wrong)))


def _unwanted(prompt: Prompt, by_class: Boxes) -> Iterator[Complaint]:
    for clause in prompt.exclude:
        if (seen := _excluded(clause, by_class)) >= clause.count:
            yield Complaint(clause.name, "unwanted", clause.count, seen)


def _excluded(clause: Clause, by_class: Boxes) -> int:
    """Boxes of the class, and of the colour where one is named (officially any; no official
    prompt names one)."""
    return sum(clause.color in (None, box.color) for box in by_class.get(clause.class_name, ()))


def _grade(prompt: Prompt, by_class: Boxes, mine: Sequence[Sequence[Box]], correct: bool) -> float:
    """How well the boxes fit, in [0, 1].

    The mean over include clauses of `_clause_credit`, halved by an excluded count that is reached
    (flow_grpo ignores that), is blended with the detector's confidence, so that ties break and a
    margin means something; correct images stand strictly above all others.
    """
    exactly = {clause.class_name for clause in prompt.exclude if not clause.color}
    credits = []
    for clause, found in zip(prompt.include, mine, strict=True):
        excess = _left_over(prompt, by_class, mine, clause) if clause.class_name in exactly else 0
        targets = mine[clause.position[1]] if clause.position else ()
        credits.append(_clause_credit(clause, found, len(found) + excess, targets))
    fit = sum(fit for fit, _ in credits) / len(credits)
    confidence = min(1.0, sum(confidence for _, confidence in credits) / len(credits))
    if any(_excluded(clause, by_class) >= clause.count for clause in prompt.exclude):
        fit /= 2
    if correct:
        return _CORRECT_FLOOR + (1 - _CORRECT_FLOOR) * confidence
    return _WRONG_CEILING * ((1 - _CONFIDENCE_SHARE) * fit + _CONFIDENCE_SHARE * confidence)


def _clause_credit(
    clause: Clause, found: Sequence[Box], counted: int, targets: Sequence[Box]
) -> tuple[float, float]:
    """(fit, the detector's confidence) of one clause.

    1 - |counted - count| / count clamped to [0, 1] (in flow_grpo 8 found of 3 give -0.67), times
    1/2 for a missing colour or relation.
    """
    fit = max(0.0, 1 - abs(counted - clause.count) / clause.count)
    if clause.color and found:
        fit *= 0.5 + 0.5 * sum(box.color == clause.color for box in found) / clause.count
    if clause.position and found:
        held = holds(clause.position[0], found, targets)
        fit *= 0.5 + 0.5 * (sum(held) / len(held) if held else 0.0)
    return fit, sum(box.score for box in found) / clause.count


def _left_over(
    prompt: Prompt, by_class: Boxes, mine: Sequence[Sequence[Box]], clause: Clause
) -> int:
    """Boxes of its class that no clause has."""
    pairs = zip(prompt.include, mine, strict=True)
    taken = sum(len(found) for c, found in pairs if c.class_name == clause.class_name)
    return len(by_class.get(clause.class_name, ())) - taken
