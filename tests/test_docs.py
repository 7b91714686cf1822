"""What README and docs show exists: every command, subcommand and option."""

import re
import shlex
from importlib import import_module
from pathlib import Path

import click
import pytest

ROOT = Path(__file__).parents[1]
COMMANDS = {"sipo-data": "datagen", "sipo-train": "train", "sipo-geneval": "geneval"}
COMMANDS["sipo-loop"] = "loop"


def _shown() -> list[tuple[str, str]]:
    """(file, command line) of every indented line and code span that starts with a command."""
    found = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = path.read_text().replace("\\\n", " ")
        lines = re.findall(r"^ {4}(sipo-\S.*)$|`(sipo-[^`]+)`", text, re.MULTILINE)
        found += [(path.name, a or b) for a, b in lines]
    return found


@pytest.mark.parametrize(("file", "line"), _shown())
def test_a_shown_command_exists(file: str, line: str) -> None:
    name, *words = shlex.split(line, comments=True)
    command: click.Command = import_module(f"sipo.{COMMANDS[name]}.cli").main
    for word in words:
        command = getattr(command, "commands", {}).get(word, command)
    known = {flag for p in command.params for flag in (*p.opts, *p.secondary_opts)}
    used = {word.split("=")[0] for word in words if word.startswith("--")}
    assert {flag.replace("-", "_") for flag in used} <= {flag.replace("-", "_") for flag in known}


def test_the_commands_are_shown() -> None:
    shown = {line.split()[0] for file, line in _shown() if file == "README.md"}
    assert shown == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_has_help(name: str) -> None:
    command: click.Command = import_module(f"sipo.{COMMANDS[name]}.cli").main
    for each in (command, *getattr(command, "commands", {}).values()):
        assert each.help, each.name
        for option in each.params:
            if isinstance(option, click.Option):
                assert option.help, f"{each.name} {option.name}"


def test_every_objective_has_a_page() -> None:
    from sipo.train.objective.losses import OBJECTIVES

    pages = {path.stem: path.read_text() for path in (ROOT / "docs" / "objectives").glob("*.md")}
    assert pages.keys() == OBJECTIVES.keys()
    for name, text in pages.items():
        assert f"--objective {name}" in text
        for heading in ("**Loss of a pair.**", "**Source.**", "**Data.**", "**When.**"):
            assert heading in text, f"{name}: {heading}"
