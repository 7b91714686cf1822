"""The paper's setups as files: `--recipe NAME` gives a command its section's values as defaults.

A recipe says where each value is from; what is given on the command line wins.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from sipo.common.options import Decorator, Option, Value, flags_of, plain

if TYPE_CHECKING:
    from sipo.common.files.yaml_files import YamlMap

FOLDER = Path(__file__).parent


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def section(recipe: str, command: str) -> YamlMap:
    """What `recipe` (a name or a file) says for "generate", "train", "geneval" or "loop".

    Raises ValueError for an unknown recipe and for one that says nothing of the command.
    """
    from sipo.common.files.yaml_files import YamlMap, read_yaml

    path = FOLDER / f"{recipe}.yaml" if recipe in names() else Path(recipe)
    try:
        content = read_yaml(path, "recipe")
    except OSError:
        content = None
    if not isinstance(content, YamlMap):
        raise ValueError(
            f"{recipe!r} is no recipe; choose one of {', '.join(names())}, or give a YAML file"
        )
    own = content.get(command)
    if not isinstance(own, YamlMap):
        there = ", ".join(key for key, value in content.items() if isinstance(value, dict))
        raise ValueError(f"recipe {recipe!r} has no section {command!r}; it has {there or 'none'}")
    return own


def recipe_option(command: str) -> Decorator:
    """`--recipe` for a click command whose parameters are named as the section's keys."""

    def use(context: click.Context, option: click.Parameter, recipe: str | None) -> None:
        if recipe is None:
            return
        parameters = {p.name: p for p in context.command.params}
        ours = {plain(flag): name for name, p in parameters.items() for flag in flags_of(p)}
        try:
            values = section(recipe, command).renamed(lambda key: ours.get(plain(key)) or key)
        except ValueError as error:
            raise click.BadParameter(str(error), context, option) from None
        for name, value in values.items():
            if name not in parameters:
                message = f"recipe {values.where(name)} sets {name!r}, which is no option"
                raise click.BadParameter(message, context, option)
            if getattr(parameters[name], "multiple", False) and not isinstance(value, list):
                values[name] = [value]
        context.default_map = {**(context.default_map or {}), **values}

    return click.option(
        "--recipe",
        cls=Option,
        type=Value(names(), place=True),
        metavar="NAME",
        is_eager=True,
        expose_value=False,
        callback=use,
        help=f"Defaults from a recipe, or a YAML file.  [one of {', '.join(names())}]",
    )
