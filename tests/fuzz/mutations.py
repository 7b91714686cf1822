"""Data as it arrives when something went wrong on the way, from data that was right."""

from __future__ import annotations

import codecs
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1\n"
_REPLACEMENTS = (b"", b"\0", POINTER, b"<!DOCTYPE html><html>404</html>", b"null", b"[]", b"{}")
_MARKS = (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, b"PK\x03\x04", b"\x1f\x8b")


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """`data` after one to four accidents: cut, flipped bits, lost, repeated or foreign bytes."""
    for _ in range(draw(st.integers(1, 4))):
        data = draw(_accident(data))
    return data


@st.composite
def _accident(draw: st.DrawFn, data: bytes) -> bytes:
    kind = draw(st.sampled_from(["cut", "flip", "lose", "repeat", "insert", "mark", "replace"]))
    at = draw(st.integers(0, max(0, len(data) - 1)))
    length = draw(st.integers(1, 64))
    if kind == "cut":
        return data[:at]
    if kind == "flip" and data:
        return data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
    if kind == "lose":
        return data[:at] + data[at + length :]
    if kind == "repeat":
        return data[:at] + data[at : at + length] * draw(st.integers(2, 5)) + data[at + length :]
    if kind == "insert":
        return data[:at] + draw(st.binary(max_size=32)) + data[at:]
    if kind == "mark":
        return draw(st.sampled_from(_MARKS)) + data
    return draw(st.sampled_from(_REPLACEMENTS)) if draw(st.booleans()) else data


class Literal(str):
    """JSON that `json.dumps` would not write, as it stands."""


ODD_LITERALS = (
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-0.0",
    "9" * 400,
    "1" + "0" * 5000,
    "[" * 3000 + "]" * 3000,
    '{"a":' * 2000 + "1" + "}" * 2000,
    '"\\ud800"',
    '"\\u0000"',
    "01",
    "'single'",
    "True",
    "undefined",
)


def odd_values() -> SearchStrategy[Any]:
    """Values of every type, the extremes of each among them."""
    plain = st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.integers(-3, 40),
        st.floats(),
        st.text(max_size=12),
        st.sampled_from(["", " ", "\u2028", "\u0085", "x" * 5000, "../../etc/passwd", "/dev/null"]),
        st.sampled_from(ODD_LITERALS).map(Literal),
    )
    return st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
        ),
        max_leaves=6,
    )


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one to three of its parts replaced, left out or added."""
    for _ in range(draw(st.integers(1, 3))):
        value = draw(_changed_once(value))
    return value


@st.composite
def _changed_once(draw: st.DrawFn, value: Any) -> Any:
    inside = isinstance(value, dict | list) and len(value) and draw(st.integers(0, 9)) < 8
    if not inside:
        return draw(odd_values())
    if isinstance(value, list):
        at = draw(st.integers(0, len(value) - 1))
        new = [draw(_changed_once(value[at]))] if draw(st.booleans()) else []
        return value[:at] + new + value[at + 1 :]
    key = draw(st.sampled_from(sorted(value, key=str)))
    kind = draw(st.sampled_from(["change", "change", "lose", "add"]))
    if kind == "change":
        return value | {key: draw(_changed_once(value[key]))}
    if kind == "lose":
        return {k: v for k, v in value.items() if k != key}
    return value | {draw(st.text(max_size=6)): draw(odd_values())}


def written(value: Any) -> str:
    """As JSON, `Literal`s as they stand."""
    if isinstance(value, Literal):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(str(k))}:{written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(written(v) for v in value) + "]"
    return json.dumps(value)


@st.composite
def lines_of(draw: st.DrawFn, rows: list[Any]) -> bytes:
    """A JSONL file: some rows changed, some lost, line ends of any kind, perhaps damaged."""
    kept = [draw(changed(row)) if draw(st.booleans()) else row for row in rows]
    end = draw(st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\u2028"]))
    text = end.join(written(row) for row in kept) + draw(st.sampled_from(["", end]))
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16", "latin-1"]))
    data = text.encode(encoding, errors="replace")
    return draw(damaged(data)) if draw(st.booleans()) else data


@st.composite
def json_files(draw: st.DrawFn, value: Any) -> bytes:
    """One JSON file: changed, damaged or both."""
    data = written(draw(changed(value)) if draw(st.booleans()) else value).encode()
    return draw(damaged(data)) if draw(st.booleans()) else data
