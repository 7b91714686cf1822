"""docs/tutorials: what runs is run, what cannot be run here is at least what the commands take."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tutorial_pages import FOLDER, PARSES, RUNS, blocks, commands, follow, taken_by

from sipo.recipes import FOLDER as RECIPES

PAGES = {page.stem: page for page in sorted(FOLDER.glob("*.md")) if page.stem != "index"}
MARKS = {name: page.read_text(encoding="utf-8").partition("\n")[0] for name, page in PAGES.items()}
QUICKSTART = FOLDER.parent / "quickstart.md"
SLOW = {"quickstart", "own-prompts", "own-objective", "own-backbone", "pick-a-pic", "loop"}
"""`pytest -m slow`, and `make tutorials`."""


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, id=page.stem, marks=[pytest.mark.slow] * (page.stem in SLOW))
        for page in (QUICKSTART, *PAGES.values())
    ],
)
def test_a_tutorial_is_true(page: Path, tmp_path: Path) -> None:
    follow(page, tmp_path)


def test_every_page_says_what_was_run() -> None:
    assert {*MARKS.values()} == {RUNS, PARSES}
    for name, page in PAGES.items():
        if MARKS[name] == PARSES:
            text = page.read_text(encoding="utf-8")
            assert "**Not run on the real checkpoint by us.**" in text, name


def test_the_recipes_that_pages_name_are_there() -> None:
    words = [w for page in PAGES.values() for b in blocks(page) if b.kind == "sh"
             for line in commands(b) for w in line]  # fmt: skip
    named = {match[1] for word in words if (match := re.search(r"recipes/(\S+)", word))}
    assert named
    assert all((RECIPES / name).is_file() for name in named)


def test_every_page_is_in_the_list() -> None:
    listed = (FOLDER / "index.md").read_text(encoding="utf-8")
    assert {*re.findall(r"\]\(([\w-]+)\.md\)", listed)} == PAGES.keys()


@pytest.mark.parametrize("wrong", ["--batchsize 2", "--batch-size 0", "--policy best", "--judge ?"])
def test_what_a_command_does_not_take_is_seen(wrong: str) -> None:
    words = f"torchrun --no-python sipo-data generate --recipe flux-geneval {wrong}".split()
    with pytest.raises(AssertionError, match="Error: "):
        taken_by(words)
