"""YAML as people mean it: one reader for settings files and recipes, and its writer.

Plain scalars are those of YAML 1.2's core schema (yaml.org/spec/1.2.2, 10.3.2): `no` and `on` are
words, `1:50` and `2024-01-01` are text, `010` is ten and `1e-4` a number. PyYAML by itself reads
YAML 1.1, where they are False, True, 110, a date, eight and text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sipo.common.files.text import read_text

MOST_VALUES = 10_000
"""A file whose references (`*name`) multiply to more is an accident, or meant to harm."""

_NULL, _BOOL, _INT, _FLOAT, _MERGE = (
    f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "float", "merge")
)
_CORE = {
    _NULL: r"~|null|Null|NULL|",
    _BOOL: r"true|True|TRUE|false|False|FALSE",
    _INT: r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    _FLOAT: r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    _MERGE: r"<<",
}
"""Tag -> which plain scalars have it, tried in this order; all others are text."""


class YamlMap(dict[str, object]):
    """A mapping of a file, which knows where its keys stand."""

    def __init__(self, values: Mapping[str, object], path: str, lines: Mapping[str, int]) -> None:
        super().__init__(values)
        self.path, self.lines = path, lines

    def where(self, key: str) -> str:
        return f"{self.path!r}, line {self.lines[key]}"

    def renamed(self, names: Callable[[str], str]) -> YamlMap:
        """Every key by its other name. Raises ValueError where two would have the same."""
        before: dict[str, str] = {}
        for key in self:
            if (other := before.setdefault(names(key), key)) != key:
                raise ValueError(
                    f"{self.where(key)}: {key!r} and {other!r} are one setting; leave one of the "
                    "two out"
                )
        values = {name: self[key] for name, key in before.items()}
        return YamlMap(values, self.path, {name: self.lines[key] for name, key in before.items()})


def read_yaml(path: str | Path, what: str = "file") -> Any:
    """What a file holds, its mappings as `YamlMap`; {} where it is empty.

    Raises ValueError that says the file, the line and what is wrong there: bad YAML, a key that is
    no text or comes twice, references without end. `what` names the file ("settings file").
    """
    where = f"{what} {str(path)!r}"
    try:
        loader = _Loader(read_text(path, what))
        loader.path = str(path)
        node = loader.get_single_node()
        if node is None:
            return YamlMap({}, str(path), {})
        if _size(node, {}) > MOST_VALUES:
            raise ValueError(f"{where} refers to itself so often that it has no end; write it out")
        return loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        raise ValueError(f"{where}{_place(error)}: {_problem(error)}") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{where} is no YAML: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise ValueError(
            f"{where} is nested too deeply; it must hold 'name: value' lines"
        ) from None


def to_yaml(values: Mapping[str, object]) -> str:
    """In the order given. What readers of YAML 1.1 or 1.2 would take for something else is quoted.

    `read_yaml` gives the same values back.
    """
    return str(yaml.dump(dict(values), Dumper=_Dumper, sort_keys=False))


def _place(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""


def _problem(error: yaml.MarkedYAMLError) -> str:
    said = str(error.problem or error.context)
    if said.startswith("but "):
        said = f"{error.context} {said}"
    if "\\t" in said:
        return f"{said}; indent with spaces, not with tabs"
    return said


def _size(node: Node, known: dict[int, int]) -> int:
    """Scalars and collections with every reference written out; endless where one holds itself."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # should it be met again below itself
        known[id(node)] = 1 + sum(_size(child, known) for child in _children(node))
    return known[id(node)]


def _children(node: Node) -> Iterator[Node]:
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield from (key, value)
    elif isinstance(node, SequenceNode):
        yield from node.value


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012
    path = ""

    def mapping(self, node: MappingNode) -> YamlMap:
        """Keys that come twice are an error; one that a merged mapping (`<<`) has too is not."""
        for places in self._keys(node).values():
            if len(places) > 1:
                first, again = places[:2]
                raise yaml.constructor.ConstructorError(
                    problem=f"{again.value!r} is set a second time (first in line "
                    f"{first.start_mark.line + 1}); leave one of the two out",
                    problem_mark=again.start_mark,
                )
        self.flatten_mapping(node)
        keys = self._keys(node)
        values = {key.value: self.construct_object(value, deep=True) for key, value in node.value}
        lines = {name: places[-1].start_mark.line + 1 for name, places in keys.items()}
        return YamlMap(values, self.path, lines)

    def _keys(self, node: MappingNode) -> dict[str, list[ScalarNode]]:
        found: dict[str, list[ScalarNode]] = {}
        for key, _ in node.value:
            if not isinstance(key, ScalarNode) or key.tag in (_NULL, _BOOL, _INT, _FLOAT):
                raise yaml.constructor.ConstructorError(
                    problem="a name must be a word, as in 'name: value'",
                    problem_mark=key.start_mark,
                )
            found.setdefault(key.value, []).append(key)
        return found

    def number(self, node: ScalarNode) -> int | float:
        text = str(self.construct_scalar(node)).lower()
        try:
            if node.tag == _FLOAT:
                return float(text.replace(".inf", "inf").replace(".nan", "nan"))
            return int(text, {"0o": 8, "0x": 16}.get(text[:2], 10))
        except ValueError:
            raise yaml.constructor.ConstructorError(
                problem=f"{text[:80]!r} is no number", problem_mark=node.start_mark
            ) from None


class _Dumper(yaml.SafeDumper):
    """Knows both schemas, so that a word either would misread is quoted."""


for _tag, _pattern in _CORE.items():
    for _kind in (_Loader, _Dumper):
        _kind.add_implicit_resolver(_tag, re.compile(rf"(?:{_pattern})\Z"), None)
_Loader.add_constructor("tag:yaml.org,2002:map", _Loader.mapping)
_Loader.add_constructor(_INT, _Loader.number)
_Loader.add_constructor(_FLOAT, _Loader.number)
