"""How a command ends: a table or JSON alone on standard output, then what to type next."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from sipo.common.command_words import command
from sipo.common.commands import Command
from sipo.common.last_words import JSON, end, typed_again


@click.command("judge", cls=Command, example="judge --rounds 2")
@click.option("--rounds", type=int)
@click.option("--dry-run", is_flag=True)
@JSON
def judge(rounds: int, dry_run: bool) -> None:
    click.echo("from a file of defaults")
    print("what a library prints")
    end({"rounds": rounds}, ["a table", "of two lines"], typed_again("--dry-run", rounds=3))


def test_for_people() -> None:
    ended = CliRunner().invoke(judge, ["--rounds=2", "--dry-run"])
    assert ended.stdout.splitlines()[-2:] == ["a table", "of two lines"]
    assert ended.stderr == "Next: judge --rounds 3\n"


def test_for_programs() -> None:
    """One value on standard output, also where others print."""
    ended = CliRunner().invoke(judge, ["--rounds", "2", "--json"])
    assert json.loads(ended.stdout) == {"rounds": 2}
    assert ended.stderr == "from a file of defaults\nwhat a library prints\n"


def test_of_several_processes_one_speaks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert CliRunner().invoke(judge, ["--json"]).stdout == ""
    assert "a table" not in CliRunner().invoke(judge, []).output


def test_what_was_typed_goes_on_to_hold() -> None:
    ended = CliRunner().invoke(judge, ["--rounds", "2"])
    assert ended.stderr == "Next: judge --rounds 3\n"


def test_a_command_as_it_is_typed() -> None:
    said = command("sipo-data", "pair", "my shards", margin=0.1, judge_weights=None, full=True)
    assert said == "sipo-data pair 'my shards' --margin 0.1 --full"
