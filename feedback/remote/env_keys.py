"""Keys come from the environment, are named by their variable, and are shown nowhere."""

from __future__ import annotations

import os

from sipo.feedback.judge_urls import is_here

KEY_ENV = "OPENAI_API_KEY"


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


def server_key(name: str | None, url: str, judge: str, asks: bool = True) -> str | None:
    """Of a server. OpenAI's own goes unasked to none but one that `asks` a chat, and in the clear
    to no other machine. Raises ValueError as `key_in`.
    """
    if name is None and not (asks and (url.startswith("https:") or is_here(url))):
        return None
    return key_in(name or KEY_ENV, f"judge {judge!r}, setting key_env", needed=name is not None)
