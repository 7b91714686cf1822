"""The parts of a request to a served judge, which strangers wrote. ValueError for what is none."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from PIL import Image

from sipo.common.pictures.decode import UnreadableError, decode
from sipo.feedback.remote.score_replies import REWARD

Body = Mapping[str, Any]

MOST_IMAGES = 256  # of a request
MOST_CLASSES = 2000
_LONGEST_NAME = 200
IDENTITY = (
    *("request_id", "sample_id", "group_id", "source_rank", "policy_version", "scorer_version"),
    "idempotency_key",
)
"""What UniRL may want back of each request."""


def decoded(text: object) -> Image.Image | str:
    """The image, or why there is none."""
    if not isinstance(text, str):
        return "image is no base64 text"
    try:
        plain = text.partition(",")[2] if text.startswith("data:") else text
        return decode(base64.b64decode("".join(plain.split()), validate=True), foreign=True)
    except (binascii.Error, ValueError) as error:
        return str(error) if isinstance(error, UnreadableError) else "image is no base64 text"


def last_turn(item: Body, where: str) -> Body:
    rewards = item.get("required_rewards", [REWARD])
    if rewards != [REWARD]:
        raise ValueError(f"{where} asks for {str(rewards)[:80]}; the one reward here is {REWARD!r}")
    return object_in(list_in(item, "history", MOST_IMAGES)[-1], f"history of {where}")


def row_of(item: Body) -> object:
    metadata = item.get("metadata")
    return metadata if isinstance(metadata, Mapping) and "include" in metadata else None


def object_in(value: object, what: str) -> Body:
    if not isinstance(value, Mapping):
        raise ValueError(f"{what} is no JSON object")
    return value


def list_in(body: Body, key: str, most: int) -> list[Any]:
    value = body.get(key)
    if not isinstance(value, list) or not 0 < len(value) <= most:
        raise ValueError(f"{key} is no list of 1 to {most}")
    return value


def vocabulary_in(value: object) -> tuple[str, ...]:
    """Raises ValueError for what are no class names."""
    names = value if isinstance(value, list | tuple) else [None]
    if len(names) > MOST_CLASSES or not all(
        isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME for name in names
    ):
        raise ValueError(f"vocabulary is no list of at most {MOST_CLASSES} class names")
    return tuple(names)
