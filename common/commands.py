"""What every command is: how it is written, what its help looks like, and how it refuses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click

from sipo import __version__
from sipo.common.errors import UserError, user_errors
from sipo.common.last_words import remember_typed, result_alone
from sipo.common.options import Option, dashed, flags_of, plain
from sipo.common.settings import ARGUMENTS

GROUPS = (
    *(ARGUMENTS, "Data", "Prompts", "Model", "Sampling", "Judge", "Pairs", "Objective"),
    *("Optimization", "Training", "D3PO", "Validation", "Evaluation", "Output", "Hub", "Machine"),
    "Other",
)
"""In the order of every help page."""
HINTS = {
    "num_samples": ("candidates", "images_per_prompt", "num_prompts"),
    "n_samples": ("candidates", "images_per_prompt", "num_prompts"),
    "num_images_per_prompt": ("candidates", "images_per_prompt"),
    "resolution": ("height", "width"),
    "fp16": ("mixed_precision", "dtype"),
    "bf16": ("mixed_precision", "dtype"),
    "use_ema": ("ema_decay",),
    "num_processes": ("workers",),
    "resume": ("resume_from_checkpoint",),
    "checkpoint": ("weights", "init_weights", "resume_from_checkpoint"),
    "dataset_name": ("data",),
    "train_text_encoder": ("full", "lora_targets"),
}
"""Options of other programs that mean nothing exactly alike here -> which to look at."""

NEVER = dict.fromkeys(
    ("hub_token", "token", "hf_token"),
    "a token is no option: others could read it; run 'hf auth login', or set HF_TOKEN",
)
"""Options of other programs that are none here, and why."""


CONTEXT: dict[str, object] = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": dashed,
    "max_content_width": 100,
}


_HYPHEN = "\u2011"  # no place to break a line


def _print_version(ctx: click.Context, option: click.Parameter, asked: bool) -> None:
    if asked and not ctx.resilient_parsing:
        click.echo(f"sipo {__version__}")
        ctx.exit()


VERSION = Option(
    ["--version"],
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version of sipo and exit.",
)


class Formatter(click.HelpFormatter):
    """Breaks no line inside a name with hyphens, so that names can be copied."""

    def write_dl(
        self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2
    ) -> None:
        whole = [(name, text.replace("-", _HYPHEN)) for name, text in rows]
        super().write_dl(whole, col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(_HYPHEN, "-")


class Context(click.Context):
    formatter_class = Formatter


class Command(click.Command):
    """Takes `-` for `_` and `-h` for `--help`, says what was meant, and ends in one sentence."""

    context_class = Context

    def __init__(self, *args: Any, example: str = "", **attrs: Any) -> None:
        super().__init__(*args, **attrs)
        self.example = example
        self.allow_interspersed_args = getattr(self, "invoke_without_command", True)

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        typed = {dashed(word.partition("=")[0]): word.partition("=")[0] for word in args}
        if found := self.other(args):
            return found[0].make_context(f"{info_name} {found[0].name}", found[1], parent, **extra)
        words = [*args]
        try:
            context = super().make_context(info_name, args, parent, **{**CONTEXT, **extra})
        except click.NoSuchOption as error:
            name = typed.get(error.option_name, error.option_name)
            raise UserError(self._no_such_option(name)) from None
        remember_typed(context, words)
        return context

    def other(self, args: list[str]) -> tuple[click.Command, list[str]] | None:
        """The command beside this one that is meant, with its own words."""
        return None

    def _no_such_option(self, typed: str) -> str:
        if why := NEVER.get(plain(typed)):
            return f"no such option {typed}; {why}"
        ours = {plain(flag): param.opts[0] for param in self.params for flag in flags_of(param)}
        hints = [name for name in HINTS.get(plain(typed), ()) if name in ours]
        near = hints or get_close_matches(plain(typed), ours, 1)
        found = meant([ours[name] for name in near], "see --help")
        return f"no such option {typed}; {found}"

    def invoke(self, ctx: click.Context) -> object:
        with ctx.scope(cleanup=False), result_alone():
            return user_errors(super().invoke)(ctx)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        *own, asks_for_help = super().get_params(ctx)
        return [*own, VERSION, asks_for_help]

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_usage(ctx, formatter)
        program, words = self.example.split(maxsplit=1)
        formatter.write_usage(program, words, prefix="Example: ")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows: dict[str, list[tuple[str, str]]] = {group: [] for group in GROUPS}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                rows[getattr(param, "group", GROUPS[-1])].append(record)
        for group, records in rows.items():
            if records:
                with formatter.section(group):
                    formatter.write_dl(records)


def meant(near: Sequence[str], otherwise: str) -> str:
    return f"did you mean {' or '.join(near)}?" if near else otherwise


class Commands(Command, click.Group):
    """A command with others beside it; with `invoke_without_command` it does work of its own."""

    command_class = Command

    def other(self, args: list[str]) -> tuple[click.Command, list[str]] | None:
        if not self.invoke_without_command:
            return None
        before, words = self._up_to_a_word(args)
        if words and (found := self.commands.get(dashed(words[0]))):
            if before:
                raise UserError(f"{before[0].opts[0]} has no effect on {words[0]!r}; leave it out")
            return found, words[1:]
        if words and not Path(words[0]).exists() and get_close_matches(words[0], self.commands):
            raise UserError(self._no_such_command(words[0]))
        return None

    def _up_to_a_word(self, args: list[str]) -> tuple[list[click.Parameter], list[str]]:
        """The options before the first word that is none, and that word with all behind it."""
        params = [param for param in self.params if isinstance(param, click.Option)]
        options = click.Command(None, params=[*params], add_help_option=False)
        options.allow_interspersed_args = False
        context = click.Context(options, resilient_parsing=True, token_normalize_func=dashed)
        _, words, before = options.make_parser(context).parse_args([*args])
        return before, words

    def invoke(self, ctx: click.Context) -> object:
        return super().invoke(ctx) if ctx.command is self else ctx.command.invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        try:
            return super().resolve_command(ctx, args)
        except click.NoSuchCommand:
            raise UserError(self._no_such_command(args[0])) from None

    def _no_such_command(self, typed: str) -> str:
        names = self.list_commands(click.Context(self))
        near = [repr(name) for name in get_close_matches(typed, names, 1)]
        known = f"choose one of {', '.join(names)}"
        return f"no such command {typed!r}; {meant(near, known)}"

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    def summaries(self, ctx: click.Context) -> list[tuple[str, str]]:
        """The commands with their first sentences."""
        return [(name, one.get_short_help_str(200)) for name, one in self.commands.items()]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(self.summaries(ctx))
        super().format_options(ctx, formatter)
