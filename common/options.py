"""What a command is made of: options from a settings model, help in groups, one way to refuse."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

import click
from click.shell_completion import CompletionItem
from pydantic_core import PydanticUndefined

from sipo.common.errors import UserError
from sipo.common.plugins import Group, installed_names
from sipo.common.settings import ARGUMENTS, PLACES, StrictModel, shown

if TYPE_CHECKING:
    from click.parser import _OptionParser
    from pydantic.fields import FieldInfo

Function = Callable[..., None]
Decorator = Callable[[Function], Function]

METAVARS: dict[object, str] = {int: "N", float: "X", Path: "PATH"}


def dashed(token: str) -> str:
    return token.replace("_", "-")


class Value(click.ParamType[object]):
    """A value as it was typed: the settings model decides about it. Knows what to complete."""

    name = "value"

    def __init__(
        self,
        choices: Sequence[str] = (),
        place: bool = False,
        empty: bool = False,
        parts: Group | None = None,
    ) -> None:
        self.choices, self.place, self.empty, self.parts = choices, place, empty, parts

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
        names = [*self.choices, *(installed_names(self.parts) if self.parts else ())]
        found = [name for name in names if name.startswith(last)]
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
    place, many = metavar in PLACES, get_origin(kind) in (list, tuple, dict)
    value = Value(choices, place, field.default == "" and not place, facts.parts)
    help_, required = _help(name, field, choices), field.is_required()
    if facts.group == ARGUMENTS:
        return click.argument(
            *(name,), cls=Argument, type=value, nargs=-1 if many else 1, metavar=metavar,
            required=required, help=help_,
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
        required=required,
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
