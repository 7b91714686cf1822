"""The paper's setups as files: `--recipe NAME` gives a command its section's values as defaults.

A recipe says where each value is from; what is given on the command line wins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

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


def recipe_option(command: str) -> Callable[[Any], Any]:
    """`--recipe` for a click command whose parameters are named as the section's keys."""

    def use(context: click.Context, option: click.Parameter, recipe: str | None) -> None:
        if recipe is None:
            return
        parameters = context.command.params
        own = {_plain(flag): p.name or "" for p in parameters for flag in p.opts}
        try:
            values = section(recipe, command).renamed(lambda key: own.get(_plain(key), key))
        except ValueError as error:
            raise click.BadParameter(str(error), context, option) from None
        known = {parameter.name: parameter for parameter in parameters}
        for name, value in values.items():
            if name not in known:
                message = f"recipe {values.where(name)} sets {name!r}, which is no option"
                raise click.BadParameter(message, context, option)
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


def _plain(flag: str) -> str:
    """A flag or key without its dashes: "--num-prompts" and "num-prompts" are num_prompts."""
    return flag.lstrip("-").replace("-", "_")
