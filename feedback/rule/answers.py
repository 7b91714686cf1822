"""From answered questions to a verdict: what all judges share that ask.

After GenEval 2 (facebookresearch/GenEval2, README): per atom P(right answer | image, question), and
their arithmetic and geometric mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.prompts.questions import Atom, atoms_of, means
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict, failed_verdict

BRIEF = "Answer in one word."
THRESHOLD = 0.5  # probability from which an atom holds

Mean = Literal["arithmetic", "geometric"]


@dataclass(frozen=True)
class AnswerRule:
    """`questions` (prompt text -> atoms) stand in for those made from the prompt's clauses."""

    mean: Mean = "geometric"
    least: float = THRESHOLD
    questions: Mapping[str, tuple[Atom, ...]] | None = None

    def describe(self) -> dict[str, object]:
        asked = "prompt" if self.questions is None else "file"
        return {"mean": self.mean, "least": self.least, "questions": asked}

    def atoms(self, prompt: Prompt) -> tuple[Atom, ...]:
        """() where there is nothing to ask."""
        if self.questions is None:
            return atoms_of(prompt)
        return self.questions.get(prompt.text.strip(), ())

    def unasked(self, prompt: Prompt, description: dict[str, object]) -> Verdict:
        where = "in plain text" if self.questions is None else "in the file"
        return failed_verdict(f"no questions for {prompt.text!r} {where}", description)

    def verdict(
        self, atoms: Sequence[Atom], chances: Sequence[float], description: dict[str, object]
    ) -> Verdict:
        """`chances`: per atom the probability of its right answer."""
        answered = list(zip(atoms, chances, strict=True))
        wrong = tuple(
            Complaint(atom.question, "question", atom.answer, chance)
            for atom, chance in answered
            if chance < self.least
        )
        return Verdict(
            score=means(chances)[self.mean],
            correct=not wrong,
            complaints=wrong,
            judge=description,
            evidence={"atoms": [[a.question, a.answer, p] for a, p in answered], **means(chances)},
        )
