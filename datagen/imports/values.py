"""What a field of a row says, whoever wrote it: a number, a yes or no, a text, a picture."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import SupportsFloat

YES = ("true", "yes", "y", "t", "1")
NO = ("false", "no", "n", "f", "0")


class UnusableError(ValueError):
    """Why a row is no pair. The text is the cause under which it is counted.

    `about` is what `dropped.jsonl` says besides: the path that is not there.
    """

    def __init__(self, cause: str, about: str = "") -> None:
        super().__init__(cause)
        self.about = about


def json_of(text: str) -> object:
    """As `json.loads`, but an integer of any length is a number, and no name stands twice.

    Raises ValueError.
    """
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def next_json(text: str, at: int) -> tuple[object, int]:
    """The value that begins at `at`, and where it ends. Raises ValueError."""
    try:
        return _DECODER.raw_decode(text, at)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class Twice(dict[str, object]):
    """An object of JSON in which a name stands twice: nobody knows which value is meant."""


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    return found if len(found) == len(pairs) else Twice(found)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) < 300 else float(digits)


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_int=_integer)


def number_of(value: object) -> float:
    """NaN for what is no finite number. Text and bytes may say one; true and false are none."""
    if isinstance(value, bytes):
        value = value.decode("utf-8-sig", errors="replace")
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):
        return math.nan
    if not isinstance(value, (str, SupportsFloat)):
        return math.nan
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def truth_of(value: object) -> bool | None:
    """None for what says neither yes nor no."""
    if isinstance(value, str | bytes):
        said = value.decode("utf-8-sig", "replace") if isinstance(value, bytes) else value
        said = said.strip().lower()
        if said in YES + NO:
            return said in YES
    number = float(value) if isinstance(value, bool) else number_of(value)
    return {0.0: False, 1.0: True}.get(number)


def is_missing(value: object) -> bool:
    """None, nothing but spaces, or the NaN by which tables say that a cell is empty."""
    if isinstance(value, str | bytes):
        return not value.strip()
    return value is None or (isinstance(value, float) and math.isnan(value))


def share_of(value: object, name: str) -> float:
    """A number from 0 to 1."""
    number = number_of(value)
    if not 0 <= number <= 1:
        raise UnusableError(f"{name} is no number from 0 to 1")
    return number


def label_of(value: object) -> float:
    """A number from 0 to 1; true and false are 1 and 0."""
    if is_missing(value):
        raise UnusableError("missing label")
    said = value.decode("utf-8-sig", "replace") if isinstance(value, bytes) else str(value)
    if (word := said.strip().lower()) in ("true", "false"):
        return float(word == "true")
    return share_of(value, "label")


def margin_of(value: object) -> float:
    """Of a row that says it; 1 where it says nothing."""
    if value is None or (isinstance(value, str | bytes) and not value.strip()):
        return 1.0
    return told_apart(share_of(value, "margin"))


def told_apart(margin: float) -> float:
    """`margin`, unless the scores that it makes of 1/2 would be the same."""
    if 0.5 + margin / 2 == 0.5 - margin / 2:
        raise UnusableError("tie")
    return margin


def text_of(value: object) -> str:
    """A prompt of a row, from UTF-8 where it is bytes."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        raise UnusableError("missing prompt")
    if not isinstance(value, str | bytes):
        raise UnusableError("prompt is no text")
    try:
        text = value if isinstance(value, str) else value.decode("utf-8")
        text.encode("utf-8")  # lone surrogates: bytes that were no UTF-8, or "\ud800" in JSON
    except UnicodeError:
        raise UnusableError("prompt is not UTF-8") from None
    text = text.lstrip("\ufeff").strip()
    if not any(map(_is_seen, text)):
        raise UnusableError("empty prompt")
    return text


def _is_seen(sign: str) -> bool:
    """Neither a space nor a sign without a shape, as the byte order mark and U+200B."""
    return unicodedata.category(sign)[0] not in "ZC"


def bytes_of(value: object) -> bytes:
    """A picture of a row: bytes, or what `datasets` makes of a picture ({"bytes", "path"})."""
    data = value.get("bytes") if isinstance(value, dict) else value
    if data is None:
        path = value.get("path") if isinstance(value, dict) else None
        raise UnusableError("missing picture", str(path or ""))
    if not isinstance(data, bytes):
        raise UnusableError("picture is not bytes")
    return data
