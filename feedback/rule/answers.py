"""From answered questions to a verdict: what all judges share that ask.

After GenEval 2 (facebookresearch/GenEval2, README): per atom P(right answer | image, question).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.prompts.question import Mean, Question
from sipo.feedback.prompts.questions import atoms_of
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.reductions import reductions, without_orphans
from sipo.feedback.rule.verdict import Verdict, failed_verdict

BRIEF = "Answer in one word."
THRESHOLD = 0.5  # probability from which an atom holds
USUAL: Mean = "geometric"
"""Where neither the judge's settings nor the prompt's suite says how to reduce."""


class Answered(BaseModel):
    """`chances` by question id; the rule by which they became the score; from where one holds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: Mean
    least: Annotated[float, Field(ge=0, le=1)]
    chances: dict[str, Annotated[float, Field(ge=0, le=1)]]


@dataclass(frozen=True)
class AnswerRule:
    """`mean` None is each suite's own. `questions`: prompt text -> the prompt whose questions stand
    in for a prompt's own, and for those made from its clauses."""

    mean: Mean | None = None
    least: float = THRESHOLD
    questions: Mapping[str, Prompt] | None = None

    def describe(self) -> dict[str, object]:
        asked = "prompt" if self.questions is None else "file"
        return {"mean": self.mean or "own", "least": self.least, "questions": asked}

    def questions_of(self, prompt: Prompt) -> tuple[Question, ...]:
        """() where there is nothing to ask."""
        asked = self._asked(prompt)
        return () if asked is None else asked.questions or atoms_of(asked)

    def unasked(self, prompt: Prompt, description: dict[str, object]) -> Verdict:
        where = "in plain text" if self.questions is None else "in the file"
        return failed_verdict(f"no questions for {prompt.text!r} {where}", description)

    def verdict(
        self, prompt: Prompt, chances: Sequence[float], description: dict[str, object]
    ) -> Verdict:
        """`chances`: of the right answer of each of `questions_of(prompt)`."""
        asked = self._asked(prompt)
        assert asked is not None, "it has been asked something"
        questions, mean = self.questions_of(prompt), self.mean or asked.rule or USUAL
        held = without_orphans(questions, chances, self.least) if mean == "dependent" else chances
        wrong = tuple(
            Complaint(one.text, "question", one.answer, chance)
            for one, chance in zip(questions, held, strict=True)
            if chance < self.least
        )
        scores = reductions(questions, chances, self.least)
        answered = list(zip(questions, chances, strict=True))
        seen: dict[str, object]
        if asked.questions:
            by_id = {one.id: chance for one, chance in answered}
            seen = {"answers": Answered(rule=mean, least=self.least, chances=by_id).model_dump()}
        else:
            seen = {"atoms": [[one.text, one.answer, chance] for one, chance in answered]}
        return Verdict(
            score=scores[mean],
            correct=not wrong,
            complaints=wrong,
            judge=description,
            evidence=seen | dict(scores.items()),
        )

    def _asked(self, prompt: Prompt) -> Prompt | None:
        return prompt if self.questions is None else self.questions.get(prompt.text.strip())


def answers_in(evidence: Mapping[str, object]) -> Answered | None:
    """Of a verdict on a prompt with questions of its own; of a clip its frames' means; of several
    judges those of the only one that asks. None where there are none.
    """
    if (answers := evidence.get("answers")) is not None:
        try:
            return Answered.model_validate(answers)
        except ValidationError:  # what a judge of one's own calls so
            return None
    frames = evidence.get("frames")
    if isinstance(frames, Mapping):
        told = [answers_in(frame.get("evidence", {})) for frame in frames.values()]
        each = [one for one in told if one]
        return _mean_of(each) if each and len(each) == len(told) else None
    members = [answers_in(one) for one in evidence.values() if isinstance(one, Mapping)]
    asking = [one for one in members if one]
    return asking[0] if len(asking) == 1 else None


def _mean_of(each: Sequence[Answered]) -> Answered:
    chances = {name: fmean(one.chances[name] for one in each) for name in each[0].chances}
    return each[0].model_copy(update={"chances": chances})
