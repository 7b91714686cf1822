"""What README and docs show exists: every command, subcommand and option."""

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from cli_reference import MARK, PAGE, ROOMS, all_commands, named, page

from sipo.common.options import dashed, flags_of

ROOT = Path(__file__).parents[1]


def _shown() -> list[tuple[str, str]]:
    """(file, command line) of every line of code and code span that starts with a command, and of
    the examples of the commands' help."""
    found = [("help", getattr(command, "example", "")) for _, command in all_commands()]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text(encoding="utf-8").replace("\\\n", " ")
        fenced = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        lines = re.findall(r"^ {4}(sipo[ -]\S.*)$|`(sipo[ -][^`]+)`", text, re.MULTILINE)
        lines += [(a, "") for a in re.findall(r"^(sipo[ -]\S.*)$", "".join(fenced), re.MULTILINE)]
        found += [(path.name, a or b) for a, b in lines]
    return found


@pytest.mark.parametrize(("file", "line"), _shown())
def test_a_shown_command_exists(file: str, line: str) -> None:
    name, *words = shlex.split(line, comments=True)
    command = named(name)
    for word in words:
        context = click.Context(command)
        command = getattr(command, "get_command", lambda *_: None)(context, word) or command
    known = {dashed(flag) for param in command.params for flag in flags_of(param)}
    used = {dashed(word.split("=")[0]) for word in words if word.startswith("--")}
    assert used <= known | {"--help", "--version"}


def test_the_commands_are_shown() -> None:
    shown = {line.split()[0] for file, line in _shown() if file == "README.md"}
    assert shown >= {f"sipo-{room}" for room in ROOMS}


def test_the_page_of_the_command_line_is_what_the_commands_say() -> None:
    text = PAGE.read_text()
    rewritten = page(text.partition(MARK)[0])
    assert text == rewritten, "docs/cli.md is stale: run `python tests/cli_reference.py`"


def test_every_objective_has_a_page() -> None:
    from sipo.train.objective.losses import OBJECTIVES

    pages = {path.stem: path.read_text() for path in (ROOT / "docs" / "objectives").glob("*.md")}
    assert pages.keys() == OBJECTIVES.keys()
    for name, text in pages.items():
        assert f"--objective {name}" in text
        for heading in ("**Loss of a pair.**", "**Source.**", "**Data.**", "**When.**"):
            assert heading in text, f"{name}: {heading}"


LINK = re.compile(r"!?\[[^]]*\]\(([^)\s]+)\)")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


def test_every_link_leads_somewhere() -> None:
    """`make docs` looks at pages and their anchors, and at neither pictures nor README."""
    for file in PAGES:
        for target in LINK.findall(file.read_text(encoding="utf-8")):
            path = target.partition("#")[0]
            assert "://" in path or not path or (file.parent / path).exists(), f"{file}: {target}"


def test_every_page_is_in_the_sites_way() -> None:
    def names(entry: object) -> Iterator[str]:
        match entry:
            case str():
                yield entry
            case dict():
                for value in entry.values():
                    yield from names(value)
            case list():
                for value in entry:
                    yield from names(value)

    site = tomllib.loads((ROOT / "zensical.toml").read_text(encoding="utf-8"))["project"]
    listed = list(names(site["nav"]))
    there = {str(p.relative_to(ROOT / "docs")) for p in (ROOT / "docs").rglob("*.md")}
    assert len(listed) == len({*listed})
    assert {*listed} == there
