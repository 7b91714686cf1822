"""What the script of view.html is handed: prompts, candidates and pairs as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sipo.datagen.looking.view_pictures import PageBytes
from sipo.datagen.looking.view_rows import PromptRow, ShownCandidate
from sipo.feedback.explained.drawn_boxes import drawn_boxes
from sipo.feedback.explained.failed_clause import single_complaints
from sipo.feedback.explained.marked_prompt import marks_in
from sipo.feedback.explained.plain_words import in_plain_words
from sipo.feedback.prompts.prompt import Prompt
from sipo.pages.shown_pictures import image_uri, percent_boxes

Json = dict[str, Any]
BEFORE_PX = 192


def row_json(row: PromptRow, pictures: Sequence[PageBytes]) -> Json:
    """`pictures` are those of its candidates."""
    return {
        "text": row.prompt.text,
        "tag": row.prompt.tag,
        **_before(row.prompt),
        "candidates": [
            _candidate(row.prompt, *shown) for shown in zip(row.candidates, pictures, strict=True)
        ],
        "pairs": [
            {
                "key": pair.key,
                "winner": pair.winner,
                "loser": pair.loser,
                "margin": round(pair.margin, 3),
                "decision": pair.decision or "",
            }
            for pair in row.pairs
        ],
    }


def _before(prompt: Prompt) -> Json:
    """The picture of an edit, small: there is one a prompt beside all its candidates."""
    if prompt.before is None:
        return {}
    picture = prompt.before.picture()
    return {"before": {"src": image_uri(picture, BEFORE_PX), "size": picture.size}}


def _candidate(prompt: Prompt, shown: ShownCandidate, picture: PageBytes) -> Json:
    verdict = shown.verdict
    complaints, members = verdict.complaints, verdict.evidence
    row: Json = {
        "key": shown.key,
        "score": None if verdict.score is None else round(verdict.score, 3),
        "correct": verdict.correct,
        "why": [verdict.failure] if verdict.failure else in_plain_words(prompt, complaints),
        "marks": marks_in(prompt, complaints),
        "kinds": sorted(
            {one.kind for one in single_complaints(complaints) if one.kind != "member"}
        ),
        "judges": [one.clause for one in complaints if one.kind == "member"],
        "scores": [
            [name, round(said["score"], 3), said["correct"]]
            for name, said in members.items()
            if isinstance(said, dict) and {"score", "correct"} <= said.keys()
        ],
        "boxes": percent_boxes(drawn_boxes(prompt, verdict.boxes, complaints), picture.size),
        "size": picture.size,
        "src": picture.uri,
        "poster": picture.poster,
    }
    return {name: value for name, value in row.items() if value not in ([], "")}
