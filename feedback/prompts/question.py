"""One question about an image, and its right answer: what suites that are judged by asking have."""

from __future__ import annotations

from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Mean = Literal["arithmetic", "dependent", "geometric"]
"""How answers become a score: feedback/rule/reductions.py."""

Named = Annotated[str, Field(min_length=1)]


class Question(BaseModel):
    """`parents`: ids of the questions without whose right answers this one means nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Named
    text: Named
    answer: Named = "yes"
    parents: tuple[Named, ...] = ()
    category: Named | None = None

    @field_validator("id", "text", "answer", "category")
    @classmethod
    def _says_something(cls, said: str | None) -> str | None:
        if said is not None and not said.strip():
            raise ValueError("is blank; write it out, or leave it out")
        return said

    def to_row(self) -> dict[str, object]:
        """Absent fields left out."""
        row: dict[str, object] = {"id": self.id, "text": self.text, "answer": self.answer}
        if self.parents:
            row["parents"] = list(self.parents)
        return row | ({"category": self.category} if self.category is not None else {})


def fault_of(questions: Sequence[Question]) -> str | None:
    """Why these cannot be the questions of one prompt: ids twice, unknown parents, circles."""
    ids = [question.id for question in questions]
    if twice := [one for one in dict.fromkeys(ids) if ids.count(one) > 1]:
        return f"question {twice[0]!r} is there twice; give each an id of its own"
    for question in questions:
        if unknown := [parent for parent in question.parents if parent not in ids]:
            return f"question {question.id!r} has the parent {unknown[0]!r}, which is none of them"
    try:
        TopologicalSorter({one.id: one.parents for one in questions}).prepare()
    except CycleError as error:
        circle = " of ".join(map(repr, error.args[1]))
        return f"questions are parents of each other in a circle ({circle}); take one arrow out"
    return None
