"""docs/cli.md as the commands themselves say it: `python tests/cli_reference.py` writes it anew."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import click
from click.testing import CliRunner

from sipo.common.commands import HINTS, Commands
from sipo.common.options import dashed

ROOMS = {"data": "datagen", "train": "train", "geneval": "geneval", "loop": "loop"}
PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
MARK = "<!-- written by `python tests/cli_reference.py` from here on -->\n"


def named(name: str) -> click.Command:
    """The command that is typed as "sipo-data" or "sipo data generate"."""
    program, *words = (
        name.replace("-", " ", 1).split() if name.startswith("sipo-") else name.split()
    )
    assert program == "sipo"
    command: click.Command = import_module("sipo.cli").main
    for word in words:
        assert isinstance(command, Commands)
        found = command.get_command(click.Context(command), word)
        assert found is not None, f"{name}: {word}"
        command = found
    return command


def all_commands() -> Iterator[tuple[str, click.Command]]:
    """("sipo-data generate", its command), for every command and subcommand."""
    yield from ((name, named(name)) for name in ("sipo", "sipo doctor", "sipo env"))
    for name in (f"sipo-{room}" for room in ROOMS):
        yield name, named(name)
        for other in getattr(named(name), "commands", ()):
            yield f"{name} {other}", named(f"{name} {other}")


def help_of(name: str, width: int = 100) -> str:
    shown = CliRunner().invoke(named(name), ["--help"], prog_name=name, terminal_width=width)
    assert shown.exit_code == 0, shown.output
    return shown.output


def page(written_by_hand: str) -> str:
    meant: dict[str, dict[str, None]] = {}
    for _, command in all_commands():
        for option in command.params:
            for other in getattr(option, "also", ()):
                meant.setdefault(dashed(option.opts[0]), {})[other] = None
    also = [f"| `{ours}` | {_codes(others)} |" for ours, others in sorted(meant.items())]
    hints = [
        f"| `--{name}` | {_codes('--' + dashed(n) for n in near)} |" for name, near in HINTS.items()
    ]
    return "\n".join(
        [
            written_by_hand + MARK,
            *("## Other names", "", "| option | works too |", "| --- | --- |", *also, ""),
            *("| is no option | look at |", "| --- | --- |", *hints),
            *(f"\n## {name}\n\n```\n{help_of(name)}```" for name, _ in all_commands()),
            "",
        ]
    )


def _codes(flags: Iterable[str]) -> str:
    return ", ".join(f"`{flag}`" for flag in flags)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8").partition(MARK)[0]), encoding="utf-8")
