"""What an option means alike to several commands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from sipo.common.errors import UserError

SEED = click.IntRange(0, 2**63 - 1)
"""What torch's generators take."""


class FiniteRange(click.FloatRange):
    """A range that refuses NaN and infinity, which every comparison of click's lets through."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        number = float(super().convert(value, param, ctx))
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number.", param, ctx)
        return number


class TextOption(click.types.StringParamType):
    """A text that is not empty, as `"$UNSET"` leaves it: no name, no number of anything."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        refuse_empty(value, param)
        return super().convert(value, param, ctx)


class PathOption(click.Path):
    """A path that is not empty: pathlib takes "" for the folder one stands in.

    `kind` is what the setting behind it has: Path or str.
    """

    def __init__(self, kind: type[Path] | type[str] = Path) -> None:
        super().__init__(path_type=kind)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        refuse_empty(value, param)
        return super().convert(value, param, ctx)


PATH, PATH_TEXT, TEXT = PathOption(), PathOption(str), TextOption()
POSITIVE = FiniteRange(0, min_open=True)
PROMPTS_HELP = (
    "GenEval JSONL, .txt of a prompt a line ('# ' begins a comment), or - (standard input)."
)


def refuse_empty(value: Any, param: click.Parameter | None) -> None:
    """Raises UserError naming the option."""
    if isinstance(value, str) and not value.strip():
        name = "a value" if param is None else max(param.opts, key=len)
        raise UserError(f"{name} {value!r} is empty; give a value, or leave it out")


def joined(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> str | None:
    """--judge a --judge b is --judge a,b."""
    return ",".join(names) or None
