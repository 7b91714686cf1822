"""Tutorials as their readers follow them: fenced blocks become files, commands and Python.

A page says in its first line how much of it is carried out in an empty folder, in this process:
`<!-- runs -->` all of it; `<!-- parses -->` each command until it wants the published model. Blocks
are told by their fence:

    ```python title="my_judges.py"    any block with a title is a file
    ```python                         is run; names live as long as the page
    ```sh                             sipo's commands, one a line (or joined by a backslash)
    ```text                           what the commands before have printed; ... is anything
"""

from __future__ import annotations

import contextlib
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from cli_reference import named
from click.testing import CliRunner

from sipo.common import plugins
from sipo.feedback.registry import JUDGES

FOLDER = Path(__file__).parents[1] / "docs" / "tutorials"
RUNS, PARSES = "<!-- runs -->", "<!-- parses -->"
_FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
_LAUNCHERS = {"torchrun", "accelerate", "sbatch", "srun"}
_NOT_HERE = re.compile(
    r"is not in the hub's cache on this machine|does not exist|has no (log\.jsonl|summary\.json)"
)
"""How a command refuses that lacks nothing but the model, or what the command before it makes."""


@dataclass(frozen=True)
class Block:
    kind: str
    title: str
    text: str


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in _FENCE.findall(page.read_text(encoding="utf-8"))]


def commands(block: Block) -> list[list[str]]:
    """The words of each command, without comments and empty lines."""
    lines = block.text.replace("\\\n", " ").splitlines()
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def follow(page: Path, here: Path) -> None:
    """Do in `here` what the page says. Raises AssertionError that shows what went otherwise."""
    say = printed_by if RUNS in page.read_text(encoding="utf-8") else taken_by
    names: dict[str, Any] = {"__name__": "__main__"}
    printed = ""
    with contextlib.chdir(here), _modules_of(here):
        for block in blocks(page):
            if block.title:
                (here / block.title).parent.mkdir(parents=True, exist_ok=True)
                (here / block.title).write_text(block.text, encoding="utf-8")
            elif block.kind == "python":
                exec(compile(block.text, str(page), "exec"), names)
            elif block.kind == "sh":
                printed = "".join(say(words) for words in commands(block))
            else:
                assert block.kind == "text", f"{page.name}: a block of {block.kind!r}"
                _assert_shown(block.text, printed, page)


def printed_by(words: list[str]) -> str:
    result = CliRunner().invoke(named("sipo"), _of_sipo(words))
    assert result.exit_code == 0, f"{shlex.join(words)}\n{result.output}\n{result.exception!r}"
    return result.stdout


def taken_by(words: list[str]) -> str:
    """What a command prints that may lack the model it names, or what one before it makes.

    A launcher in front is left out. Raises AssertionError where an option or a value is wrong.
    """
    for flag, value in pairwise(words):  # which are looked at after the model
        if flag in ("--judge", "--validation_judge"):
            assert value in JUDGES, f"Error: {flag} {value}"
    result = CliRunner().invoke(named("sipo"), _of_sipo(_without_launcher(words)))
    said = " ".join(result.output.split())
    assert result.exit_code == 0 or (result.exit_code == 2 and _NOT_HERE.search(said)), (
        f"{shlex.join(words)}\n{said}\n{result.exception!r}"
    )
    return result.stdout


def _of_sipo(words: list[str]) -> list[str]:
    """Of `sipo-data generate ...` what follows "sipo"."""
    room = words[0].removeprefix("sipo-")
    assert room != words[0], f"{words[0]!r} is no command of sipo"
    return [room, *words[1:]]


def _assert_shown(expected: str, printed: str, page: Path) -> None:
    """Its lines are there, in order; how wide tables are does not matter."""
    seen = iter([" ".join(line.split()) for line in printed.splitlines()])
    for line in filter(str.strip, expected.splitlines()):
        pattern = ".*".join(map(re.escape, " ".join(line.split()).split("...")))
        assert any(re.fullmatch(pattern, one) for one in seen), f"{page.name}: {line}\n{printed}"


@contextlib.contextmanager
def _modules_of(folder: Path) -> Iterator[None]:
    """Modules of the folder one is in are found, and forgotten afterwards."""
    before = {*sys.modules}
    sys.path.insert(0, str(folder))
    plugins._loaded.cache_clear()
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        plugins._loaded.cache_clear()
        for name in {*sys.modules} - before:
            if str(folder) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]


def _without_launcher(words: list[str]) -> list[str]:
    if words[0] not in _LAUNCHERS:
        return words
    for number, word in enumerate(words):
        if word.endswith("array.sbatch"):  # it hands its words to sipo-data
            return ["sipo-data", *words[number + 1 :]]
        if match := re.fullmatch(r"(?:\$\(which )?(sipo-\w+)\)?", word):
            return [match[1], *words[number + 1 :]]
    raise AssertionError(f"{shlex.join(words)} starts no command of sipo")
