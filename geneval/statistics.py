"""Judged images as what `common/statistics.py` counts: by tag and prompt."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from sipo.feedback.prompts.prompt import Tag
from sipo.geneval.results import ImageResult

Tally = dict[str, dict[str, tuple[int, int]]]
"""tag -> prompt (its row as JSON) -> (correct images, judged images)."""


def tally(rows: Iterable[ImageResult]) -> Tally:
    """Tags in GenEval's order; prompts sorted, so that equal sets give equal intervals."""
    counts: dict[tuple[str, str], tuple[int, int]] = {}
    for row in rows:
        correct, images = counts.get((row.tag, row.metadata), (0, 0))
        counts[row.tag, row.metadata] = (correct + row.correct, images + 1)
    by_tag: Tally = {}
    tags = get_args(Tag)
    for tag, prompt in sorted(counts, key=lambda key: (tags.index(key[0]), key[1])):
        by_tag.setdefault(tag, {})[prompt] = counts[tag, prompt]
    return by_tag
