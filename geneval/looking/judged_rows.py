"""An evaluation as it is looked at: its rows by prompt, and each image with boxes and words."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sipo.common.pictures.picture import Picture, read_clip, read_image
from sipo.feedback.explained.drawn_boxes import drawn_boxes
from sipo.feedback.explained.plain_words import in_plain_words
from sipo.feedback.prompts.prompt import Prompt, parse_prompt
from sipo.feedback.rule.complaint import Kind
from sipo.geneval.comparison.outputs import images_of
from sipo.geneval.evaluation_folder import RESULTS
from sipo.geneval.layout import is_clip
from sipo.geneval.looking.seen_boxes import seen_boxes
from sipo.geneval.results import ImageResult, read_rows
from sipo.pages.same_prompts import Sample, Version
from sipo.pages.shown_pictures import ShownPicture, show_picture

Rows = dict[str, list[ImageResult]]
"""A prompt's row as JSON -> its images, in order."""


@dataclass(frozen=True)
class Judged:
    """`name` is what it is called beside others."""

    name: str
    folder: Path
    rows: Rows

    def share(self, metadata: str) -> float:
        """Of a prompt's images, those that are right."""
        rows = self.rows[metadata]
        return sum(row.correct for row in rows) / len(rows)


def read_judged(folder: Path, name: str) -> Judged:
    """Raises ValueError for a folder without results, or damaged ones."""
    if not (folder / RESULTS).is_file():
        raise ValueError(f"{str(folder)!r} has no {RESULTS}; run sipo-geneval there first")
    rows: Rows = {}
    for row in read_rows(folder / RESULTS):
        rows.setdefault(row.metadata, []).append(row)
    return Judged(name, folder, rows)


def version_of(judged: Judged, metadata: str, side_px: int, most: int) -> Version | None:
    """Of a prompt at most `most` images; None where it has none."""
    rows = judged.rows.get(metadata, [])[:most]
    prompt = prompt_of(metadata)
    samples = [sample_of(judged, prompt, place, row, side_px) for place, row in enumerate(rows, 1)]
    return Version(judged.name, samples) if rows else None


def sample_of(
    judged: Judged, prompt: Prompt, number: int, row: ImageResult, side_px: int
) -> Sample:
    said = reasons(prompt, row)
    picture = open_picture(judged, row)
    shown = None if picture is None else _shown(judged, prompt, number, row, picture, side_px)
    return Sample(shown, row.correct, said)


def reasons(prompt: Prompt, row: ImageResult) -> list[str]:
    """Why it is not right, in words."""
    if row.correct:
        return []
    return in_plain_words(prompt, row.complaints) or row.reason.splitlines() or ["not right"]


def example(judged: Judged, tag: str, kind: Kind) -> str:
    """The first such complaint, with its prompt; "" where there is none."""
    for metadata, rows in judged.rows.items():
        for complaint in (each for row in rows if row.tag == tag for each in row.complaints):
            if kind in {part.kind for part in complaint.parts()}:
                prompt = prompt_of(metadata)
                return f"{prompt.text}: {'; '.join(in_plain_words(prompt, [complaint]))}"
    return ""


def open_picture(judged: Judged, row: ImageResult) -> Picture | None:
    """None where it can no longer be read."""
    path = images_of(judged.folder) / row.filename
    try:
        return read_clip(path.read_bytes()) if is_clip(path) else read_image(path)
    except (OSError, ValueError):
        return None


def prompt_of(metadata: str) -> Prompt:
    return parse_prompt(metadata, "metadata of a row")


def _shown(
    judged: Judged, prompt: Prompt, number: int, row: ImageResult, picture: Picture, side_px: int
) -> ShownPicture:
    verdict = "right" if row.correct else f"wrong: {'; '.join(reasons(prompt, row))}"
    return show_picture(
        picture,
        side_px,
        f"{prompt.text}, {judged.name}, image {number}: {verdict}",
        caption=f"{prompt.text}\n{judged.name}, image {number}: {verdict}",
        state="good" if row.correct else "bad",
        boxes=drawn_boxes(prompt, seen_boxes(prompt, row), row.complaints),
    )
