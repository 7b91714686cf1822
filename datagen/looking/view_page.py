"""`view.html`: the pairs of a folder, its prompts with their candidates, and what was dropped."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple, get_args

from sipo.datagen.looking.view_choice import Choice, ShownPrompt, choose
from sipo.datagen.looking.view_data import Json, row_json
from sipo.datagen.looking.view_pictures import LEVELS, SMALLEST_BYTES, Level, encoded, level_for
from sipo.datagen.looking.view_rows import PromptRow, ShownCandidate, prompt_rows
from sipo.datagen.looking.view_summary import histograms, lost, summary_of
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.feedback.prompts.prompt import EVERY_TAG
from sipo.feedback.rule.complaint import Kind
from sipo.pages.chart_kinds import evenly
from sipo.pages.html import render

MOST_BYTES = 14_500_000
"""Of prompts, verdicts and pictures: a page of 15 MB still loads at once, and goes by mail."""

_OF_PICTURES = 0.82  # of them at most, the rest is words


class View(NamedTuple):
    page: str
    said: str  # how much of the folder is in it


def view(folder: ShardFolder, most_pairs: int | None = None) -> View:
    """Raises ValueError for a shard that is not done, and where there is nothing to show."""
    most = MOST_BYTES * _OF_PICTURES / SMALLEST_BYTES
    while True:
        choice = choose(folder, int(most), most_pairs)
        if not choice.prompts:
            raise ValueError(f"{folder.path} holds no candidates; generate or import some first")
        rows = _rows(folder, choice.prompts)
        data = json.dumps(rows, separators=(",", ":")).replace("<", "\\u003c")
        if len(data) <= MOST_BYTES or len(choice.prompts) == 1:
            break
        pictures = sum(len(one.candidates) for one in choice.prompts)
        most = 0.95 * pictures * MOST_BYTES / len(data)
    shown = {kind for row in rows for one in row["candidates"] for kind in one.get("kinds", ())}
    summary = summary_of(folder)
    config = folder.config
    said = _said(choice)
    page = render(
        Path(__file__).with_name("view.html"),
        title=f"{choice.of_pairs:,} pairs",
        folder=folder.path.name,
        said=said,
        of_pairs=choice.pairs,
        config=config,
        judges=config.judge.names.split(","),
        tags=[tag for tag in EVERY_TAG if any(row["tag"] == tag for row in rows)],
        kinds=[kind for kind in get_args(Kind) if kind in shown],
        decided=any(pair["decision"] for row in rows for pair in row["pairs"]),
        summary=summary,
        lost=lost(folder, summary) if summary else [],
        histograms=histograms(folder),
        data=data,
    )
    return View(page, said)


def _said(choice: Choice) -> str:
    if choice.pairs == choice.of_pairs:
        return f"all {choice.of_pairs:,} pairs of {choice.of_prompts:,} prompts"
    return (
        f"{choice.pairs:,} of {choice.of_pairs:,} pairs, evenly taken, from "
        f"{len(choice.prompts):,} of {choice.of_prompts:,} prompts"
    )


def _rows(folder: ShardFolder, chosen: Sequence[ShownPrompt]) -> list[Json]:
    """With pictures as large as fit."""
    most = MOST_BYTES * _OF_PICTURES
    pictures = sum(len(one.candidates) for one in chosen)
    few = [chosen[place] for place in evenly(len(chosen))]
    first = level_for(prompt_rows(folder, few), pictures, int(most))
    rows: list[Json] = []
    for level in LEVELS[first:]:
        rows = list(_at(folder, chosen, level))
        if sum(len(one["src"]) for row in rows for one in row["candidates"]) <= most:
            break
    return rows


def _at(folder: ShardFolder, chosen: Sequence[ShownPrompt], level: Level) -> Iterator[Json]:
    waiting: deque[PromptRow] = deque()

    def candidates() -> Iterator[ShownCandidate]:
        for row in prompt_rows(folder, chosen):
            waiting.append(row)
            yield from row.candidates

    pictures = encoded(candidates(), level)
    for picture in pictures:
        row = waiting.popleft()
        yield row_json(row, [picture, *islice(pictures, len(row.candidates) - 1)])
