"""JSON that people wrote: what `json.loads` takes in silence, or ends in a traceback, is an error.

Twice the same key (the first would be lost), NaN and infinity, half a character ("\\ud800", which
no file can hold again), an integer of thousands of digits, brackets ten thousand deep.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

MAX_DIGITS = 100  # of an integer: any such is a float too


def load_json(text: str | bytes) -> Any:
    """As `json.loads`, of what programs wrote: brackets too deep are a ValueError, too."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None


def parse_json(text: str, where: str) -> Any:
    """Raises ValueError that says `where`, what is wrong, and of JSON that is none the place."""
    try:
        value = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_not_finite,
            parse_float=_finite,
            parse_int=_readable,
        )
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        line = f"line {error.lineno}, " if "\n" in text.strip() else ""
        raise ValueError(f"{where}: not JSON ({error.msg} at {line}column {error.colno})") from None
    except UnicodeEncodeError:
        raise ValueError(
            f"{where}: holds half a character (\\ud...); write the whole one"
        ) from None
    except RecursionError:
        raise ValueError(f"{where}: is nested too deep; give flat JSON") from None
    except ValueError as error:  # our own, below
        raise ValueError(f"{where}: {error}") from None
    return value


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"has {twice[:80]!r} twice; keep one")
    return value


def _readable(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"{digits[:20]}... is a number of {len(digits)} digits; write a small one")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _not_finite(digits)


def _not_finite(word: str) -> NoReturn:
    raise ValueError(f"{word[:20]} is no finite number")
