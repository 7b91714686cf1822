"""What is gone on with is held to the settings that it was started with.

The first that differs is named: as the option that decides it, with what it was and what it is now.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Literal, NoReturn

NO_IDENTITY = "batch_size"
"""Wherever it stands, it may be another: what comes out differs by rounding alone."""

Among = Literal["all", "asked", "shared"]
"""Which settings are compared: also those of one side alone, those of `now`, those of both."""


@dataclass(frozen=True)
class Difference:
    """`name` is a place, "sampler.steps"; a side that does not have it says None."""

    name: str
    before: object
    now: object


def first_difference(
    before: Mapping[str, object],
    now: Mapping[str, object],
    among: Among = "all",
) -> Difference | None:
    """As JSON has them; the settings of `now` come first, in their order."""
    old, new = (dict(_leaves(json.loads(json.dumps(side)), "")) for side in (before, now))
    for name in dict.fromkeys([*new, *old]):
        asked = any(place in new for place in accumulate(name.split("."), "{}.{}".format))
        if name.split(".")[-1] == NO_IDENTITY:
            continue
        looked_at = {"all": True, "asked": asked, "shared": name in old and name in new}
        if looked_at[among] and old.get(name) != new.get(name):
            return Difference(name, old.get(name), new.get(name))
    return None


def _leaves(value: object, name: str) -> Iterator[tuple[str, object]]:
    """(place, value); objects in a list stand at their numbers."""
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        yield name, value
        return
    for key, item in value.items():
        yield from _leaves(item, f"{name}.{key}" if name else str(key))


def refuse(path: Path, setting: str, difference: Difference) -> NoReturn:
    """Raises the ValueError; `setting` is what the user calls it."""
    raise ValueError(
        f"{path} was started with {setting} {difference.before}, this command says "
        f"{difference.now}; use the same settings to go on, or give another --out"
    )


def option_of(name: str, options: Mapping[str, str]) -> str:
    """The option that decides a setting.

    `options` has it by the setting's name or by the first part of that, with {leaf} for the rest
    and {name} for the whole of it. What it has not is an option itself, or told by its name.
    """
    first, _, leaf = name.partition(".")
    text = options.get(name) or options.get(first) or ("{name}" if leaf else "--{leaf}")
    return text.format(name=name, leaf=(leaf or name).replace("_", "-"))
