"""docs/tutorials: what runs is run, what cannot be run here is at least what the commands take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tutorial_pages import FOLDER, PARSES, RUNS, blocks, commands, follow, parses

from sipo.recipes import FOLDER as RECIPES

ALL = {page.stem: page for page in sorted(FOLDER.glob("*.md")) if page.stem != "index"}
MARKS = {name: page.read_text(encoding="utf-8").partition("\n")[0] for name, page in ALL.items()}
RUN = [FOLDER.parent / "quickstart.md", *(ALL[name] for name in ALL if MARKS[name] == RUNS)]
QUICK = {"own-prompts", "own-judge"}
"""Of those that run; the others are `pytest -m slow`, and `make tutorials`."""
GIVEN = [page for page in ALL.values() if MARKS[page.stem] == PARSES]
LINES = [(page.stem, words) for page in GIVEN for block in blocks(page) if block.kind == "sh"
         for words in commands(block)]  # fmt: skip


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[] if page.stem in QUICK else pytest.mark.slow)
        for page in RUN
    ],
)
def test_a_tutorial_runs_as_it_stands(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path)


@pytest.mark.parametrize(("page", "words"), LINES)
def test_a_command_for_cards_is_one_that_is_taken(
    page: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused, if at all, for want of the model or of what the command before it makes."""
    for word in words:
        if match := re.search(r"recipes/(\S+)", word):
            assert (RECIPES / match[1]).is_file(), word
    monkeypatch.chdir(tmp_path)
    parses(words)


def test_every_page_says_what_was_run() -> None:
    assert {*MARKS.values()} == {RUNS, PARSES}
    for page in GIVEN:
        assert "**Not run on the real checkpoint by us.**" in page.read_text(encoding="utf-8"), page


def test_every_page_is_in_the_list() -> None:
    listed = (FOLDER / "index.md").read_text(encoding="utf-8")
    assert {*re.findall(r"\]\(([\w-]+)\.md\)", listed)} == ALL.keys()
