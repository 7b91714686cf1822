"""A prompt by several evaluations, as a page shows it, with pictures as large as fit."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from PIL import Image

from sipo.feedback.prompts.prompt_folder import read_prompt
from sipo.geneval.comparison.outputs import images_of
from sipo.geneval.looking.judged_rows import Judged, open_picture, prompt_of, version_of
from sipo.pages.same_prompts import PromptCard, side_for
from sipo.pages.shown_pictures import show_picture

PER_PROMPT = 4  # images of a prompt that are shown


def prompt_card(
    judged: Sequence[Judged], metadata: str, side_px: int, most: int = PER_PROMPT
) -> PromptCard:
    """`metadata` is the prompt's row as JSON; at most `most` images by each."""
    prompt = prompt_of(metadata)
    versions = [version_of(one, metadata, side_px, most) for one in judged]
    before = _before(judged, metadata) if prompt.before else None
    shown = None if before is None else show_picture(before, side_px, f"{prompt.text}: before")
    return PromptCard(prompt.text, prompt.tag.replace("_", " "), versions, shown)


def _before(judged: Sequence[Judged], metadata: str) -> Image.Image | None:
    """What an edit began with; None where no folder has it any more."""
    for one in judged:
        for row in one.rows.get(metadata, []):
            try:
                found = read_prompt((images_of(one.folder) / row.filename).parent.parent).before
                return None if found is None else found.picture()
            except (OSError, ValueError):
                continue
    return None


def fitting_side_px(
    judged: Sequence[Judged], prompts: Sequence[str], most: int = PER_PROMPT
) -> int:
    """The side of pictures at which a page of these prompts stays small."""
    rows = [(one, row) for p in prompts for one in judged for row in one.rows.get(p, [])[:most]]

    def sizes_at(side_px: int, count: int) -> list[int]:
        step = max(1, len(rows) // max(1, count))
        pictures = (open_picture(*pair) for pair in islice(rows, 0, None, step))
        shown = [show_picture(each, side_px, "") for each in pictures if each]
        return [len(each.uri) + len(each.poster) for each in shown]

    return side_for(sizes_at, len(rows))
