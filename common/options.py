"""What an option means alike to several commands."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

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


class PathOption(click.Path):
    """A path; "" is refused, which pathlib takes for the folder that one is in.

    `kind` is what the setting behind it has: Path or str.
    """

    def __init__(self, kind: type[Path] | type[str] = Path) -> None:
        super().__init__(path_type=kind)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value):
            self.fail("is empty; give a path, or leave the option out.", param, ctx)
        return super().convert(value, param, ctx)


PATH, PATH_TEXT = PathOption(), PathOption(str)

POSITIVE = FiniteRange(0, min_open=True)


def joined(context: click.Context, option: click.Parameter, names: tuple[str, ...]) -> str | None:
    """--judge a --judge b is --judge a,b."""
    return ",".join(names) or None
