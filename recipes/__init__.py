"""The paper's setups as files: `--recipe NAME` gives a command its section's values as defaults.

A recipe says where each value is from; what is given on the command line wins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sipo.common.files import read_text

FOLDER = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def section(recipe: str, command: str) -> dict[str, Any]:
    """What `recipe` (a name or a file) says for "generate", "train", "geneval" or "loop".

    Raises ValueError for an unknown recipe and for one that says nothing of the command.
    """
    import yaml

    path = FOLDER / f"{recipe}.yaml" if recipe in names() else Path(recipe)
    try:
        content = yaml.safe_load(read_text(path, "recipe"))
        own = content.get(command)
    except (OSError, AttributeError, ValueError, yaml.YAMLError):
        raise ValueError(
            f"{recipe!r} is no recipe; choose one of {', '.join(names())}, or give a YAML file"
        ) from None
    if not isinstance(own, dict):
        there = ", ".join(key for key, value in content.items() if isinstance(value, dict))
        raise ValueError(f"recipe {recipe!r} has no section {command!r}; it has {there}")
    return own


def recipe_option(command: str) -> Callable[[Any], Any]:
    """`--recipe` for a click command whose parameters are named as the section's keys."""

    def use(context: click.Context, option: click.Parameter, recipe: str | None) -> None:
        if recipe is None:
            return
        try:
            values = section(recipe, command)
        except ValueError as error:
            raise click.BadParameter(str(error), context, option) from None
        known = {parameter.name: parameter for parameter in context.command.params}
        if unknown := values.keys() - known.keys():
            message = f"recipe {recipe!r} sets {min(unknown)!r}, which is no option"
            raise click.BadParameter(message, context, option)
        for name, value in values.items():
            if getattr(known[name], "multiple", False) and not isinstance(value, list):
                values[name] = [value]
        context.default_map = {**(context.default_map or {}), **values}

    return click.option(
        "--recipe",
        is_eager=True,
        expose_value=False,
        callback=use,
        help=f"Defaults from a recipe: {', '.join(names())}, or a YAML file.",
    )
