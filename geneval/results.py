"""`results.jsonl`: one row an image, in the official format.

Source: djghosh13/geneval, `evaluation/evaluate_images.py`; `summary_scores.py` there reads them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from sipo.common.files.text import numbered_lines, read_text
from sipo.common.files.writing import write_text
from sipo.feedback.prompts.prompt import Prompt, Tag
from sipo.feedback.rule.answers import Answered, answers_in
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict

Tally = dict[str, dict[str, tuple[int, int]]]
"""tag (or group) -> prompt (its row as JSON) -> (correct images, judged images)."""


class ImageResult(BaseModel):
    """One judged image. `filename` is relative to the folder of the images."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    filename: str
    tag: Tag
    prompt: str
    correct: bool
    reason: str
    metadata: str  # the prompt's row as JSON
    details: str  # {class: [[x1, y1, x2, y2, score], ...]} as JSON
    complaints: tuple[Complaint, ...] = ()  # `reason` as data; folders of earlier versions lack it
    sharpness: float | None = None  # of the image; the same
    group: str | None = None  # of a suite's prompt, which has it
    answers: Answered | None = None  # to the prompt's own questions


def to_row(
    filename: str, prompt: Prompt, verdict: Verdict, sharpness: float | None = None
) -> ImageResult:
    details: dict[str, list[list[float]]] = {}
    for box in verdict.boxes:
        details.setdefault(box.class_name, []).append(
            [float(value) for value in (*box.xyxy, box.score)]
        )
    return ImageResult(
        filename=filename,
        tag=prompt.tag,
        prompt=prompt.text,
        correct=verdict.correct,
        reason=verdict.reason,
        metadata=prompt.to_json(),
        details=json.dumps(details),
        complaints=verdict.complaints,
        sharpness=sharpness,
        group=prompt.group,
        answers=answers_in(verdict.evidence) if prompt.questions else None,
    )


def write_rows(rows: Iterable[ImageResult], path: Path) -> None:
    write_text(path, "".join(json.dumps(_as_written(row)) + "\n" for row in rows))


def _as_written(row: ImageResult) -> dict[str, object]:
    """Without what only suites' prompts have, where it is none."""
    without = {name for name in ("group", "answers") if getattr(row, name) is None}
    return row.model_dump(exclude=without)


def read_rows(path: Path) -> list[ImageResult]:
    """Raises ValueError that names the line which is no row, or is the second of an image."""
    rows: dict[str, ImageResult] = {}
    for where, line in numbered_lines(read_text(path), path):
        row = _row(line, where)
        if row.filename in rows:
            raise ValueError(f"{where}: a second row of {row.filename!r}; take one of them out")
        rows[row.filename] = row
    if not rows:
        raise ValueError(
            f"{str(path)!r} has no rows; remove it and run the same sipo-geneval again"
        )
    return list(rows.values())


def _row(line: str, where: str) -> ImageResult:
    try:
        return ImageResult.model_validate_json(line)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, first["loc"])) or "row"
        raise ValueError(
            f"{where}: {field}: {first['msg']}; give results.jsonl as sipo-geneval or GenEval's "
            "evaluate_images.py wrote it"
        ) from None


def tally(rows: Iterable[ImageResult]) -> Tally:
    """Tags in GenEval's order; prompts sorted, so that equal sets give equal intervals."""
    return _tally(rows, lambda row: row.tag, get_args(Tag))


def tally_groups(rows: Iterable[ImageResult]) -> Tally:
    """By group, of the prompts that have one, as they come; {} without such."""
    grouped = [row for row in rows if row.group is not None]
    names = tuple(dict.fromkeys(str(row.group) for row in grouped))
    return _tally(grouped, lambda row: str(row.group), names)


def _tally(
    rows: Iterable[ImageResult], stratum: Callable[[ImageResult], str], order: tuple[str, ...]
) -> Tally:
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        key = (stratum(row), row.metadata)
        correct, images = counts.get(key, (0, 0))
        counts[key] = (correct + row.correct, images + 1)
    by_name: Tally = {}
    for name, prompt in sorted(counts, key=lambda key: (order.index(key[0]), key[1])):
        by_name.setdefault(name, {})[prompt] = counts[name, prompt]
    return by_name
