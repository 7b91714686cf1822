"""The decision rule: from boxes to a verdict. Pure functions, no detector, no image.

Official rule: djghosh13/geneval, `evaluation/evaluate_images.py`, `evaluate`; for official prompts
results are the official ones. What it cannot judge is judged here: several clauses of one class
(assignment.py), a position by a later clause, counts over 16, an excluded colour. The graded score
is ours (see `_grade`); the form it replaces is flow_grpo's, whose faults are named there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from sipo.feedback.prompts.prompt import Clause, Prompt
from sipo.feedback.rule.assignment import Boxes, assign, holds, targets_first
from sipo.feedback.rule.boxes import Box, relations

MAX_PER_CLASS = 16  # official, MAX_OBJECTS
_CORRECT_FLOOR = 0.9  # scores of correct images lie in [0.9, 1], of all others in [0, 0.85]
_WRONG_CEILING = 0.85
_CONFIDENCE_SHARE = 0.1  # of a score that the detector's confidence may decide


class Verdict(BaseModel):
    """A judge's word on one image. `score` in [0, 1]; None when the judge failed, never a 0."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None
    correct: bool
    reason: str  # which clauses fail and how; "" when correct
    boxes: tuple[Box, ...] = ()
    judge: dict[str, Any] = {}  # id, weights hash, thresholds
    failure: str | None = None  # the cause when the judge could not look at the image
    evidence: dict[str, Any] = {}  # what else was seen: raw scores, answers, members' verdicts

    @model_serializer(mode="wrap")
    def _without_empty_evidence(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        row: dict[str, Any] = write(self)
        return row if self.evidence else {k: v for k, v in row.items() if k != "evidence"}

    @model_validator(mode="after")
    def _fails_or_scores(self) -> Verdict:
        if (self.score is None) != (self.failure is not None):
            raise ValueError("a verdict has a score, or a failure that says why it has none")
        return self

    @property
    def failed(self) -> bool:
        return self.failure is not None


def failed_verdict(cause: str, judge: dict[str, Any]) -> Verdict:
    return Verdict(score=None, correct=False, reason="", judge=judge, failure=cause)


def decide(prompt: Prompt, boxes: Iterable[Box], judge: dict[str, Any] | None = None) -> Verdict:
    """Judge one image by its boxes, which are already over the detector's threshold."""
    if not prompt.include:
        return failed_verdict("the prompt is plain text, without clauses to check", judge or {})
    by_class = _strongest_first(prompt, boxes)
    mine = assign(prompt, by_class)
    reasons = [*_missing(prompt, by_class, mine), *_unwanted(prompt, by_class)]
    kept = tuple(box for group in by_class.values() for box in group)
    return Verdict(
        score=_grade(prompt, by_class, mine, correct=not reasons),
        correct=not reasons,
        reason="\n".join(dict.fromkeys(reasons)),
        boxes=kept,
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
    for box in sorted(boxes, key=lambda b: (-b.score, b.xyxy)):
        by_class.setdefault(box.class_name, []).append(box)
    return {name: group[: most_of_a_class(prompt, name)] for name, group in by_class.items()}


def _missing(prompt: Prompt, by_class: Boxes, mine: Sequence[Sequence[Box]]) -> Iterator[str]:
    """Why include clauses fail, in their order. One fails with the one that it is placed by."""
    complaints = [_number_and_color(prompt, i, by_class, mine[i]) for i in range(len(mine))]
    for i in targets_first(prompt.include):
        if prompt.include[i].position and not complaints[i]:
            complaints[i] = _place(prompt, i, mine, complaints)
    yield from filter(None, complaints)


def _number_and_color(prompt: Prompt, i: int, by_class: Boxes, found: Sequence[Box]) -> str:
    """Why clause `i` fails but for its place, in the official words; "" when it holds."""
    clause = prompt.include[i]
    name = clause.class_name
    if len(found) < clause.count:
        asked = sum(other.count for other in prompt.include if other.class_name == name)
        return f"expected {name}>={asked}, found {len(by_class.get(name, ()))}"
    if clause.color:
        colored = sum(box.color == clause.color for box in found)
        if colored < clause.count:
            seen = ", ".join(sorted({box.color or "unknown" for box in found}))
            return f"expected {clause.color} {name}>={clause.count}, found {colored} ({seen})"
    return ""


def _place(prompt: Prompt, i: int, mine: Sequence[Sequence[Box]], complaints: Sequence[str]) -> str:
    """Why clause `i`, which has a position, is not there."""
    clause = prompt.include[i]
    assert clause.position is not None
    relation, target = clause.position
    if complaints[target]:
        return f"no target for {clause.class_name} to be {relation}"
    for box in mine[i]:
        for other in mine[target]:
            held = relations(box.xyxy, other.xyxy)
            if relation not in held:
                seen = " and ".join(sorted(held)) or "no relation"
                return f"expected {clause.class_name} {relation} target, found {seen}"
    return ""


def _unwanted(prompt: Prompt, by_class: Boxes) -> Iterator[str]:
    for clause in prompt.exclude:
        if (count := _excluded(clause, by_class)) >= clause.count:
            name = f"{clause.color} {clause.class_name}" if clause.color else clause.class_name
            yield f"expected {name}<{clause.count}, found {count}"


def _excluded(clause: Clause, by_class: Boxes) -> int:
    """Boxes of the class, and of the colour where one is named (officially any; no official
    prompt names one)."""
    return sum(clause.color in (None, box.color) for box in by_class.get(clause.class_name, ()))


def _grade(prompt: Prompt, by_class: Boxes, mine: Sequence[Sequence[Box]], correct: bool) -> float:
    """How well the boxes fit, in [0, 1].

    Per include clause 1 - |found - count| / count clamped to [0, 1] (in flow_grpo 8 found of 3 give
    -0.67), times 1/2 for a missing colour or relation; an excluded count reached halves the whole
    (there ignored). The mean over clauses is then blended with the detector's confidence, so that
    ties break and a margin means something; correct images stand strictly above all others.
    """
    counted = {clause.class_name for clause in prompt.exclude if not clause.color}
    credits = []
    confidences = []
    for clause, own in zip(prompt.include, mine, strict=True):
        found = len(own)
        if clause.class_name in counted:
            found += _left_over(prompt, by_class, mine, clause.class_name)
        credit = max(0.0, 1 - abs(found - clause.count) / clause.count)
        if clause.color and own:
            credit *= 0.5 + 0.5 * sum(b.color == clause.color for b in own) / clause.count
        if clause.position and own:
            held = holds(clause.position[0], own, mine[clause.position[1]])
            credit *= 0.5 + 0.5 * (sum(held) / len(held) if held else 0.0)
        credits.append(credit)
        confidences.append(sum(b.score for b in own) / clause.count)
    if any(_excluded(clause, by_class) >= clause.count for clause in prompt.exclude):
        credits = [credit / 2 for credit in credits]
    fit = sum(credits) / len(credits)
    confidence = min(1.0, sum(confidences) / len(confidences))
    if correct:
        return _CORRECT_FLOOR + (1 - _CORRECT_FLOOR) * confidence
    return _WRONG_CEILING * ((1 - _CONFIDENCE_SHARE) * fit + _CONFIDENCE_SHARE * confidence)


def _left_over(prompt: Prompt, by_class: Boxes, mine: Sequence[Sequence[Box]], name: str) -> int:
    """Boxes of a class that no clause has."""
    taken = sum(
        len(own) for c, own in zip(prompt.include, mine, strict=True) if c.class_name == name
    )
    return len(by_class.get(name, ())) - taken
