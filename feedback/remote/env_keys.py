"""Keys come from the environment, are named by their variable, and are shown nowhere."""

from __future__ import annotations

import os


def key_in(name: str, what: str, needed: bool = True) -> str | None:
    """What the variable holds; `what` names the setting. None where nothing is needed or there.

    Raises ValueError for one that is needed and not there, and for what no header can carry.
    """
    key = os.environ.get(name, "").strip()
    if not key and needed:
        raise ValueError(f"{what}: the environment has no {name!r}; set it to the key")
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"{what}: what the environment has as {name!r} is no key; set it again")
    return key or None
