"""How a command ends that ends well: its result, as people or as programs read it, and the command
to type next.

With --json the result is one JSON value on standard output, and all else that anybody prints while
the command works goes to standard error.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

import click

from sipo.common.command_words import words_of
from sipo.common.options import Option
from sipo.common.processes import this_process
from sipo.common.settings import JSON_HELP

_ASKED, _STDOUT, _TYPED = "sipo.json", "sipo.stdout", "sipo.typed"
"""Keys of a click context's `meta`."""


def _asked(context: click.Context, option: click.Parameter, json_: bool) -> None:
    context.meta[_ASKED] = json_


JSON = click.option(
    "--json",
    "json_",
    cls=Option,
    group="Output",
    is_flag=True,
    expose_value=False,
    callback=_asked,
    help=JSON_HELP,
)
"""Of a command that ends with `end`."""


def as_json() -> bool:
    """Whether the command that runs was asked for JSON."""
    context = click.get_current_context(silent=True)
    if context is None:
        return False
    return bool(context.meta.get(_ASKED) or context.params.get("json_"))


@contextmanager
def result_alone() -> Iterator[None]:
    """Around a command: where it was asked for JSON nothing but `end` reaches standard output."""
    if not as_json():
        yield
        return
    click.get_current_context().meta[_STDOUT] = sys.stdout
    with redirect_stdout(sys.stderr):
        yield


def end(result: object, lines: str | Sequence[str], after: str = "") -> None:
    """`result` is what JSON is made of (a mapping, or a list of them), `lines` say the same to
    people, `after` is the command to type next. Of several processes one says it."""
    process = this_process()
    if as_json():
        if process.rank == 0:
            out = click.get_current_context().meta[_STDOUT]
            click.echo(json.dumps(result, indent=2), file=out)
        return
    if process.local_rank:
        return
    click.echo(lines if isinstance(lines, str) else "\n".join(lines))
    if after:
        click.echo(f"Next: {after}", err=True)


def remember_typed(context: click.Context, words: Sequence[str]) -> None:
    context.meta[_TYPED] = (context.command_path, tuple(words))


def typed_again(*without: str, name: str = "", **changed: object) -> str:
    """The command that runs, as it was typed, without these flags; `name` is another of its kind,
    `changed` are options with other values than were typed."""
    path, words = click.get_current_context().meta[_TYPED]
    gone, kept = [*words_of(dict.fromkeys(changed, True))], list[str]()
    left = iter(words)
    for word in left:
        if word in gone:
            next(left, None)
        elif word.partition("=")[0] not in (*gone, *without):
            kept.append(word)
    return shlex.join([*(name or path).split(), *kept, *words_of(changed)])


def refuse_json_plan(dry_run: bool) -> None:
    """Raises ValueError for --dry-run with --json, where a plan is for people alone."""
    if dry_run and as_json():
        raise ValueError("--dry-run is said in words, and --json is of a result; leave one out")
