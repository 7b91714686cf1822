"""A judge's boxes as a page draws them: what fits a clause, what speaks against one, the rest."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sipo.feedback.explained.failed_clause import failed_clause, single_complaints
from sipo.feedback.prompts.asked_texts import texts_of
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.assignment import assign
from sipo.feedback.rule.boxes import Box, sureness
from sipo.feedback.rule.complaint import Complaint
from sipo.pages.shown_pictures import DrawnBox, State


def drawn_boxes(
    prompt: Prompt, boxes: Iterable[Box], complaints: Iterable[Complaint]
) -> tuple[DrawnBox, ...]:
    """The boxes of classes that the prompt speaks of, the surest first, as "red dog .87"; of a
    plain text that wants to be read all, as lines.

    "bad" are those of a clause that fails and those that are too many; "good" those of a clause
    that holds; "" those that no clause has, and all where nothing is asked in clauses.
    """
    lines = not prompt.include and bool(texts_of(prompt))
    spoken = [box for box in boxes if lines or box.class_name in prompt.classes]
    asked = sorted(spoken, key=sureness)
    states = _states(prompt, asked, list(single_complaints(complaints)))
    return tuple(
        DrawnBox(box.xyxy, label_of(box), state) for box, state in zip(asked, states, strict=True)
    )


def label_of(box: Box) -> str:
    name = f"{box.color} {box.class_name}" if box.color else box.class_name
    return f"{name} {box.score:.2f}".replace(" 0.", " .")


def _states(prompt: Prompt, boxes: Sequence[Box], complaints: Sequence[Complaint]) -> list[State]:
    states: dict[int, State] = {id(box): "" for box in boxes}
    by_class: dict[str, list[Box]] = {}
    for box in boxes:
        by_class.setdefault(box.class_name, []).append(box)
    failed = {failed_clause(prompt, one): one for one in complaints}
    for number, mine in enumerate(assign(prompt, by_class)):
        complaint = failed.get(number)
        for box in mine:
            wrong = complaint is not None and not _holds(box, complaint)
            states[id(box)] = "bad" if wrong else "good"
    for one in complaints:
        if one.kind == "unwanted":
            for box in boxes:
                if one.clause in (box.class_name, f"{box.color} {box.class_name}"):
                    states[id(box)] = states[id(box)] or "bad"
    return list(states.values())


def _holds(box: Box, complaint: Complaint) -> bool:
    """Whether a box is right although its clause fails: of the colour that is asked, one of too
    few or too many, or placed by what is not there."""
    if complaint.kind == "colour":
        return box.color == complaint.wanted
    return complaint.kind in ("count", "unwanted", "target")
