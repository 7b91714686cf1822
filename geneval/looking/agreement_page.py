"""Where two judges differ: each image with the boxes that would settle it, as either saw it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from sipo.common.files.writing import write_text
from sipo.common.pictures.picture import Clip, Picture, read_clip, read_image
from sipo.feedback.explained.drawn_boxes import drawn_boxes, label_of
from sipo.feedback.explained.failed_clause import failed_clause, single_complaints
from sipo.feedback.explained.marked_prompt import Piece, marked_prompt
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.complaint import Complaint
from sipo.geneval.comparison.agreement import Agreement, rows_by_name
from sipo.geneval.comparison.outputs import images_of
from sipo.geneval.layout import is_clip
from sipo.geneval.looking.judged_rows import prompt_of, reasons
from sipo.geneval.looking.seen_boxes import seen_boxes
from sipo.geneval.results import ImageResult
from sipo.pages.html import render
from sipo.pages.shown_pictures import ShownPicture, show_picture

SIDE_PX = 256
_CROPS = 3  # of an image
_AROUND = 0.15  # of a crop's sides
_UNKNOWN = "unknown"


class Side(NamedTuple):
    """What one judge says; `picture` is None where the image can no longer be read."""

    judge: str
    picture: ShownPicture | None
    said: list[str]
    correct: bool
    crops: list[ShownPicture]  # of what it could not tell the colour of


class Case(NamedTuple):
    filename: str
    tag: str
    prompt: list[Piece]
    sides: list[Side]


def write_agreement(
    result: Agreement, a: Path, b: Path, images: Path | None, out: Path, most: int
) -> int:
    """At most `most` disagreements, of every tag as many; returns how many there are in it."""
    rows = rows_by_name(a), rows_by_name(b)
    chosen = _chosen([each.filename for each in result.disagreements], rows[0], most)
    judges = result.judge_a, result.judge_b
    cases = [
        _case(
            judges,
            [each[name] for each in rows],
            [_places(images, x, y) for x, y in ((a, b), (b, a))],
        )
        for name in chosen
    ]
    tags = dict.fromkeys(case.tag for case in cases)
    page = render(
        Path(__file__).with_name("agreement.html"),
        title=f"{result.judge_a} and {result.judge_b}",
        result=result,
        shown=len(cases),
        groups=[(tag, [case for case in cases if case.tag == tag]) for tag in tags],
    )
    write_text(out, page)
    return len(cases)


def _chosen(names: Sequence[str], rows: dict[str, ImageResult], most: int) -> list[str]:
    """In their order, tag by tag in turn until there are `most`."""
    by_tag: dict[str, list[str]] = {}
    for name in names:
        by_tag.setdefault(rows[name].tag, []).append(name)
    turns = [name for turn in zip_longest(*by_tag.values()) for name in turn if name is not None]
    taken = set(turns[:most])
    return [name for name in names if name in taken]


def _places(images: Path | None, mine: Path, other: Path) -> list[Path]:
    """Where an evaluation's images may lie."""
    if images is not None:
        return [images]
    return [mine, images_of(mine), other, images_of(other)]


def _case(
    judges: Sequence[str], rows: Sequence[ImageResult], places: Sequence[Sequence[Path]]
) -> Case:
    prompt = prompt_of(rows[0].metadata)
    complaints = [one for row in rows for one in single_complaints(row.complaints)]
    sides = [
        _side(judge, prompt, row, _picture(row.filename, folders), _disputed(prompt, complaints))
        for judge, row, folders in zip(judges, rows, places, strict=True)
    ]
    return Case(rows[0].filename, rows[0].tag, marked_prompt(prompt, complaints), sides)


def _disputed(prompt: Prompt, complaints: Sequence[Complaint]) -> set[str]:
    """The classes that a complaint is of; those that another is placed by are of it too."""
    found = {failed_clause(prompt, one) for one in complaints} - {None}
    clauses = [prompt.include[number] for number in found if number is not None]
    targets = [prompt.include[clause.position[1]] for clause in clauses if clause.position]
    return {clause.class_name for clause in (*clauses, *targets)}


def _picture(filename: str, folders: Sequence[Path]) -> Picture | None:
    for folder in folders:
        path = folder / filename
        try:
            return read_clip(path.read_bytes()) if is_clip(path) else read_image(path)
        except (OSError, ValueError):
            continue
    return None


def _side(
    judge: str, prompt: Prompt, row: ImageResult, picture: Picture | None, disputed: set[str]
) -> Side:
    said = reasons(prompt, row) or ["correct"]
    if picture is None:
        return Side(judge, None, said, row.correct, [])
    boxes = [box for box in seen_boxes(prompt, row) if not disputed or box.class_name in disputed]
    shown = show_picture(
        picture,
        SIDE_PX,
        f"{prompt.text}, as {judge} sees it: {'; '.join(said)}",
        caption=f"{prompt.text}\n{judge}: {'; '.join(said)}",
        state="good" if row.correct else "bad",
        boxes=drawn_boxes(prompt, boxes, row.complaints),
    )
    return Side(judge, shown, said, row.correct, list(_crops(judge, row, picture, boxes)))


def _crops(
    judge: str, row: ImageResult, picture: Picture, boxes: Sequence[Box]
) -> Iterator[ShownPicture]:
    """What is in the boxes of classes of which a colour could not be told."""
    unknown = {
        one.clause
        for one in single_complaints(row.complaints)
        if one.kind == "colour" and isinstance(one.seen, tuple) and _UNKNOWN in one.seen
    }
    image = picture.frames[0] if isinstance(picture, Clip) else picture
    for box in [box for box in boxes if box.class_name in unknown][:_CROPS]:
        x1, y1, x2, y2 = box.xyxy
        more = _AROUND * (x2 - x1), _AROUND * (y2 - y1)
        corners = x1 - more[0], y1 - more[1], x2 + more[0], y2 + more[1]
        left, top, right, bottom = (
            round(min(max(value, 0), image.size[axis % 2])) for axis, value in enumerate(corners)
        )
        if right > left and bottom > top:
            crop = image.crop((left, top, right, bottom))
            words = f"the {box.class_name} whose colour {judge} cannot tell ({label_of(box)})"
            yield show_picture(crop, SIDE_PX, words, caption=words)
