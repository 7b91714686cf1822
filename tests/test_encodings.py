"""Text is opened with an encoding or by sipo.common.files.text, never by what a locale says."""

from __future__ import annotations

import ast
import re

import pytest
from test_rooms import MAY_KNOW, ROOT

FOLDERS = [*MAY_KNOW, "benchmarks"]


def without_encoding(source: str) -> list[int]:
    """The lines of calls that open text by the locale's encoding."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and _opens_text(node) and not _says_encoding(node)
    ]


def _opens_text(call: ast.Call) -> bool:
    """`path.read_text()`, `path.write_text(x)`, `path.open()`, `open(path)`; not those that take
    another thing's name, as `Image.open(file)` and `os.open`, nor bytes.
    """
    match call.func:
        case ast.Attribute(attr="read_text" | "write_text"):
            return True
        case ast.Name(id="open"):
            mode = call.args[1:2]
        case ast.Attribute(value=value, attr="open"):
            if isinstance(value, ast.Name) and value.id in ("Image", "os", "av", "tarfile"):
                return False
            mode = call.args[:1]
        case _:
            return False
    mode += [word.value for word in call.keywords if word.arg == "mode"]
    return not any(isinstance(said, ast.Constant) and "b" in str(said.value) for said in mode)


def _says_encoding(call: ast.Call) -> bool:
    return any(word.arg == "encoding" for word in call.keywords)


def test_the_rule_sees_what_it_should() -> None:
    bad = ["p.read_text()", "p.write_text(x)", "p.open()", "p.open('a')", "open(p, mode='w')"]
    good = ["p.open('rb')", "Image.open(p)", "p.read_text(encoding='utf-8')", "open(p, 'wb')"]
    assert without_encoding("\n".join([*bad, *good])) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("folder", FOLDERS)
def test_every_text_has_an_encoding(folder: str) -> None:
    found = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in (ROOT / folder).rglob("*.py")
        for line in without_encoding(path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_json_is_read_by_common() -> None:
    """`json.loads` ends in a RecursionError for brackets that are nested too deep."""
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for room in set(MAY_KNOW) - {"mini"}
        for path in (ROOT / room).rglob("*.py")
        if path.name not in ("strict_json.py", "values.py")  # the latter counts what it cannot read
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(r"json\.loads?\((?!json\.dumps)", line)
    ]
    assert found == []
