"""Commands as they are typed, for whoever is told what to type."""

from __future__ import annotations

import shlex
from collections.abc import Mapping


def command(*words: object, **options: object) -> str:
    """command("sipo-data", "pair", "my shards", margin=1) -> sipo-data pair 'my shards' --margin 1

    A switch is True; what is None or False is left out.
    """
    return shlex.join([*map(str, words), *words_of(options)])


def words_of(options: Mapping[str, object]) -> list[str]:
    words: list[str] = []
    for name, value in options.items():
        if value is None or value is False:
            continue
        words.append("--" + name.strip("_").replace("_", "-"))
        words += [] if value is True else [str(value)]
    return words
