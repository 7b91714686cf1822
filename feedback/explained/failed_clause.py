"""Which clause of a prompt a complaint is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sipo.feedback.prompts.clause import Clause
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.complaint import Complaint


def single_complaints(complaints: Iterable[Complaint]) -> Iterator[Complaint]:
    """Those of several judges one by one, each once."""
    found = (part for complaint in complaints for part in complaint.parts())
    return iter(dict.fromkeys(found))


def failed_clause(prompt: Prompt, complaint: Complaint) -> int | None:
    """Its number in `include`; None where no clause there is meant, as by a scorer's complaint.

    What is excluded is named by the clause that asks for fewer of the same class.
    """
    alike = [n for n, one in enumerate(prompt.include) if _names(one, complaint)]
    meant = [n for n in alike if _asks(prompt.include[n], complaint)]
    return next(iter(meant or alike), None)


def _names(clause: Clause, complaint: Complaint) -> bool:
    return complaint.clause in (clause.class_name, clause.name)


def _asks(clause: Clause, complaint: Complaint) -> bool:
    match complaint.kind:
        case "colour":
            return clause.color == complaint.wanted
        case "position" | "target":
            return clause.position is not None and clause.position[0] == complaint.wanted
    return True
