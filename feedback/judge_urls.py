"""The address of a judge that is asked over HTTP, and which protocol is spoken there."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

Protocol = Literal["openai", "flow-factory", "unirl"]
"""Questions to a vision chat; or images and prompts to a service that scores them (two kinds)."""

COMPUTE, SCORE = "/compute", "/score"
"""How the addresses of the two services end."""

EXAMPLES = "http://127.0.0.1:8000, or http://127.0.0.1:8000/v1 of an OpenAI-compatible server"
_SCHEME = re.compile(r"(https?):/+")


def is_url(text: str) -> bool:
    """Also where pathlib has made one slash of two."""
    return _SCHEME.match(text) is not None


def checked_url(text: str) -> str:
    """Without a slash at its end. Raises ValueError for what is no address, or holds a secret,

    which would be kept with the verdicts; the sentence does not repeat it.
    """
    parts = urlsplit(_SCHEME.sub(r"\1://", text.strip(), count=1))
    try:
        known = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        known = False
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise ValueError(
            "the URL of judge 'http' has a password, a query or a fragment, which would stand in "
            "every file that names the judge; put a key into the environment (setting key_env)"
        )
    if not known or re.search(r"\s", text.strip()):
        raise ValueError(f"judge 'http' cannot ask {text[:80]!r}; give a URL like {EXAMPLES}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def base_of(url: str) -> str:
    """Without the end that a protocol adds itself."""
    return next((url.removesuffix(end) for end in (COMPUTE, SCORE) if url.endswith(end)), url)


def protocol_of(url: str) -> Protocol:
    """By convention: the base of an OpenAI-compatible server ends with its version."""
    path = urlsplit(url).path.rstrip("/")
    if re.search(r"/v\d+$", path):
        return "openai"
    return "unirl" if path.endswith(SCORE) else "flow-factory"


def is_here(url: str) -> bool:
    """Whether it is an address of this machine, which nothing leaves."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
