"""What a command is made of: options from a settings model, help in groups, one way to refuse."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click
from click.shell_completion import CompletionItem
from pydantic_core import PydanticUndefined

from sipo import __version__
from sipo.common.errors import UserError, user_errors
from sipo.common.settings import ARGUMENTS, StrictModel, shown

if TYPE_CHECKING:
    from click.parser import _OptionParser
    from pydantic.fields import FieldInfo

Function = Callable[..., None]
Decorator = Callable[[Function], Function]

GROUPS = (
    *(ARGUMENTS, "Data", "Prompts", "Model", "Sampling", "Judge", "Pairs", "Objective"),
    *("Optimization", "Training", "D3PO", "Validation", "Evaluation", "Output", "Machine", "Other"),
)
"""In the order of every help page."""
PLACES = ("PATH", "FILE", "FOLDER", "MODEL", "SHARDS", "RUN")
METAVARS: dict[object, str] = {int: "N", float: "X", Path: "PATH"}
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


_HYPHEN = "\u2011"  # no place to break a line


def dashed(token: str) -> str:
    return token.replace("_", "-")


CONTEXT: dict[str, object] = {
    "help_option_names": ["-h", "--help"],
    "token_normalize_func": dashed,
    "max_content_width": 100,
}


class Value(click.ParamType[object]):
    """A value as it was typed: the settings model decides about it. Knows what to complete."""

    name = "value"

    def __init__(
        self, choices: Sequence[str] = (), place: bool = False, empty: bool = False
    ) -> None:
        self.choices, self.place, self.empty = choices, place, empty

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        """Raises UserError for an empty text, as `"$UNSET"` leaves it: pathlib would take it for
        the folder one stands in."""
        if isinstance(value, str) and not value.strip() and not self.empty:
            name = param.opts[0] if param else "a value"
            raise UserError(f"{name} {value!r} is empty; give a value, or leave it out")
        return value

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        before, comma, last = incomplete.rpartition(",")
        found = [name for name in self.choices if name.startswith(last)]
        files = [CompletionItem(incomplete, type="file")] * self.place
        return [CompletionItem(before + comma + name) for name in found] + files


class Option(click.Option):
    """Stands in a group of the help. `also` and `off` are flags that work and no help shows."""

    def __init__(
        self,
        decls: Sequence[str],
        *,
        group: str = "Other",
        also: Sequence[str] = (),
        off: Sequence[str] = (),
        **attrs: Any,
    ) -> None:
        super().__init__(decls, **attrs)
        self.group, self.also, self.off = group, also, off

    def add_to_parser(self, parser: _OptionParser, ctx: click.Context) -> None:
        seen = self.opts, self.secondary_opts
        self.opts, self.secondary_opts = [*seen[0], *self.also], [*seen[1], *self.off]
        super().add_to_parser(parser, ctx)
        self.opts, self.secondary_opts = seen


class Argument(click.Argument):
    """Stands in the help, as options do."""

    group = ARGUMENTS

    def __init__(self, decls: Sequence[str], *, help: str, **attrs: Any) -> None:
        super().__init__(decls, **attrs)
        self.text = help

    def get_help_record(self, ctx: click.Context) -> tuple[str, str]:
        return self.make_metavar(ctx), self.text

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        others = [
            name for name in getattr(ctx.command, "commands", ()) if name.startswith(incomplete)
        ]
        return [*map(CompletionItem, others), *super().shell_complete(ctx, incomplete)]


def flags_of(param: click.Parameter) -> list[str]:
    """Every way to write an option, those included that no help shows."""
    hidden = (*getattr(param, "also", ()), *getattr(param, "off", ()))
    return [*param.opts, *param.secondary_opts, *hidden]


def plain(flag: str) -> str:
    """A flag or key without its dashes: "--num-prompts" and "num-prompts" are num_prompts."""
    return flag.lstrip("-").replace("-", "_")


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


def meant(near: Sequence[str], otherwise: str) -> str:
    return f"did you mean {' or '.join(near)}?" if near else otherwise


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

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        typed = [word.partition("=")[0] for word in args]
        try:
            return super().make_context(info_name, args, parent, **{**CONTEXT, **extra})
        except click.NoSuchOption as error:
            name = next((word for word in typed if dashed(word) == error.option_name), None)
            raise UserError(self._no_such_option(name or error.option_name)) from None

    def _no_such_option(self, typed: str) -> str:
        ours = {plain(flag): param.opts[0] for param in self.params for flag in flags_of(param)}
        hints = [name for name in HINTS.get(plain(typed), ()) if name in ours]
        near = hints or get_close_matches(plain(typed), ours, 1)
        found = meant([ours[name] for name in near], "see --help")
        return f"no such option {typed}; {found}"

    def invoke(self, ctx: click.Context) -> object:
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


class Commands(Command, click.Group):
    """A command with others beside it; with `invoke_without_command` it does work of its own."""

    command_class = Command

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        if not self.invoke_without_command:
            return super().make_context(info_name, args, parent, **extra)
        before, words = self._up_to_a_word(args)
        if not words or not (other := self.commands.get(dashed(words[0]))):
            if words and not Path(words[0]).exists() and get_close_matches(words[0], self.commands):
                raise UserError(self._no_such_command(words[0]))
            extra["allow_interspersed_args"] = True
            return super().make_context(info_name, args, parent, **extra)
        if before:
            flag = before[0].opts[0]
            raise UserError(f"{flag} has no effect on {words[0]!r}; leave it out")
        return other.make_context(f"{info_name} {other.name}", words[1:], parent, **extra)

    def _up_to_a_word(self, args: list[str]) -> tuple[list[click.Parameter], list[str]]:
        """The options before the first word that is none, and that word with all behind it."""
        options = [param for param in self.params if isinstance(param, click.Option)]
        command = click.Command(None, params=list(options), add_help_option=False)
        with click.Context(
            command,
            allow_interspersed_args=False,
            resilient_parsing=True,
            token_normalize_func=dashed,
        ) as context:
            _, words, before = command.make_parser(context).parse_args(list(args))
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


def settings_options(
    model: type[StrictModel],
    make: Callable[[dict[str, object]], object] | None = None,
    dash: str = "-",
) -> Decorator:
    """A parameter a setting, for a function whose first argument is what `make` (the model itself)
    makes of those that were given."""

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def run(*before: object, **values: object) -> None:
            given = {name: values.pop(name) for name in model.model_fields}
            given = {name: value for name, value in given.items() if value not in (None, ())}
            function(*before, (make or model.model_validate)(given), **values)

        for name in reversed(model.model_fields):
            _parameter(name, model.model_fields[name], dash)(run)
        return run

    return decorate


def _parameter(name: str, field: FieldInfo, dash: str) -> Decorator:
    facts, kind = shown(field), _kind(field.annotation)
    choices = get_args(kind) if get_origin(kind) is Literal else facts.choices
    metavar = facts.metavar or METAVARS.get(kind) or ("NAME" if choices else "TEXT")
    value = Value(choices, metavar in PLACES, field.default == "" and metavar not in PLACES)
    help_, many = _help(name, field, choices), get_origin(kind) in (list, tuple, dict)
    if facts.group == ARGUMENTS:
        return click.argument(
            *(name,), cls=Argument, type=value, nargs=-1 if many else 1, metavar=metavar,
            required=field.is_required(), help=help_,
        )  # fmt: skip
    flag, off = (f"--{before}{name.strip('_').replace('_', dash)}" for before in ("", f"no{dash}"))
    return click.option(
        *(name, f"{flag}/{off}" if field.default is True else flag),
        cls=Option,
        group=facts.group,
        also=[f"--{other}" for other in facts.also],
        off=[off] if field.default is False else [],
        type=None if kind is bool else value,
        is_flag=kind is bool,
        metavar=None if kind is bool else metavar,
        multiple=many or facts.several,
        callback=joined if facts.several else None,
        default=None,
        help=help_,
    )


def _kind(annotation: object) -> object:
    """`int` of `int | None`."""
    if get_origin(annotation) not in (Union, UnionType):
        return annotation
    return next(kind for kind in get_args(annotation) if kind is not type(None))


def _help(name: str, field: FieldInfo, choices: Sequence[str]) -> str:
    """The description, and in brackets what can be chosen and what happens without it."""
    facts, default = shown(field), field.default
    if isinstance(default, bool):
        default = name if default else None
    elif isinstance(default, float):
        default = f"{default:g}"
    if facts.without or default not in (None, "", [], (), {}, PydanticUndefined):
        default = f"default: {facts.without or default}"
    elif facts.group != ARGUMENTS and field.is_required():
        default = "required"
    else:
        default = ""
    chosen = f"one of {', '.join(choices)}" if len(choices) > 1 and facts.group != ARGUMENTS else ""
    notes = "; ".join(note for note in (chosen, default) if note)
    return f"{field.description}  [{notes}]" if notes else str(field.description)


def joined(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> str | None:
    """--judge a --judge b is --judge a,b."""
    return ",".join(names) or None


DRY_RUN = click.option(
    "--dry-run", cls=Option, is_flag=True, help="Say what would be done, and write nothing."
)
