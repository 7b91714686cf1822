"""The boxes of a row of `results.jsonl`, which keeps no colours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sipo.common.files.strict_json import parse_json
from sipo.feedback.explained.failed_clause import single_complaints
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box, sureness
from sipo.feedback.rule.complaint import Complaint
from sipo.geneval.results import ImageResult


def seen_boxes(prompt: Prompt, row: ImageResult) -> list[Box]:
    """With colours as far as a complaint tells them. Raises ValueError for what are no boxes."""
    return _with_colors(prompt, row, list(_read_boxes(row)))


def _read_boxes(row: ImageResult) -> Iterator[Box]:
    """Raises ValueError for details that are no boxes."""
    wrong = f"details of {row.filename!r} are no boxes; give results.jsonl as sipo-geneval wrote it"
    found = parse_json(row.details or "{}", wrong)
    try:
        for name, boxes in found.items():
            for x1, y1, x2, y2, score in boxes:
                yield Box(name, float(score), (float(x1), float(y1), float(x2), float(y2)))
    except (AttributeError, TypeError, ValueError):
        raise ValueError(wrong) from None


def _with_colors(prompt: Prompt, row: ImageResult, boxes: list[Box]) -> list[Box]:
    """Rows keep no colours. A class that is asked for once has the one that is asked where nothing
    is complained of it, and the one that was seen where a complaint names one alone."""
    complained = {one.clause: one for one in single_complaints(row.complaints)}
    for clause in prompt.include:
        named = clause.class_name
        one = complained.get(named) or complained.get(clause.name)
        if not clause.color or [c.class_name for c in prompt.include].count(named) > 1:
            continue
        seen = {clause.color} if one is None and row.correct else _colors(one)
        if len(seen) == 1:
            color = str(next(iter(seen)))
            mine = sorted((box for box in boxes if box.class_name == named), key=sureness)
            asked = [id(box) for box in mine[: clause.count]]
            boxes = [replace(box, color=color) if id(box) in asked else box for box in boxes]
    return boxes


def _colors(complaint: Complaint | None) -> set[object]:
    if complaint is None or complaint.kind != "colour" or not isinstance(complaint.seen, tuple):
        return set()
    return set(complaint.seen)
