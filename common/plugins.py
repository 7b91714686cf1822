"""Parts from outside this tree: `my_module:make_judge`, or a name that an installed package gives.

A package names its parts as entry points (https://packaging.python.org, "Entry points
specification") of a group below; a file of one's own needs none. A part's name,
version and a hash of its source are kept beside what it made.
"""

from __future__ import annotations

import hashlib
import inspect
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, partial
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import FunctionType
from typing import Literal

Group = Literal["sipo.judges", "sipo.objectives", "sipo.backbones", "sipo.metrics"]


@dataclass(frozen=True)
class Part:
    """`version` is the package's where it was installed with one, `sha256` of the source file."""

    value: object
    name: str
    version: str | None
    sha256: str

    def provenance(self) -> dict[str, str | None]:
        return {"name": self.name, "version": self.version, "source_sha256": self.sha256}


def is_reference(name: str) -> bool:
    """Whether `name` is of the form `package.module:attribute`."""
    module, colon, attribute = name.partition(":")
    words = [*module.split("."), *attribute.split(".")]
    return bool(colon) and all(word.isidentifier() for word in words)


def installed_names(group: Group) -> list[str]:
    """Names that installed packages give in this group, sorted."""
    return sorted({point.name for point in entry_points(group=group)})


def near_first(name: str, names: Iterable[str]) -> list[str]:
    """All that there is, what `name` may have been meant for first."""
    there = list(names)
    return list(dict.fromkeys([*get_close_matches(name, there), *there]))


def find_part(group: Group, name: str, option: str) -> Part | None:
    """None where `name` is neither `module:attribute` nor an installed package's.

    Modules are looked for as Python does, and in the working directory. Raises ValueError, which
    names the option, for a part that is named but cannot be imported.
    """
    points = [point for point in entry_points(group=group) if point.name == name]
    if points:
        return _loaded(points[0], name, option)
    if is_reference(name):
        return _loaded(EntryPoint(name, name, group), name, option)
    return None


@cache
def _loaded(point: EntryPoint, name: str, option: str) -> Part:
    if os.getcwd() not in sys.path:  # as for `python -m`
        sys.path.insert(0, os.getcwd())
    try:
        value = point.load()
    except (ImportError, AttributeError, SyntaxError) as error:
        raise ValueError(
            f"{option} {name!r} cannot be imported ({type(error).__name__}: {error}); it takes "
            "module:attribute of a module in this folder or of an installed package"
        ) from None
    version = point.dist.version if point.dist else _version_of(point.module)
    return Part(value, name, version, _source_hash(value, point.module))


def part_of(value: object, name: str | None = None) -> Part:
    """A part that was handed over in Python; without `name` it is called module:attribute."""
    defined = _defined(value)
    own = f"{defined.__module__}:{defined.__qualname__}"
    return Part(value, name or own, _version_of(defined.__module__), _source_hash(value))


def _version_of(module: str) -> str | None:
    version = getattr(import_module(module.partition(".")[0]), "__version__", None)
    return version if isinstance(version, str) else None


def _defined(value: object) -> type | FunctionType:
    """The function or class that decides what it does."""
    inner = value.func if isinstance(value, partial) else value
    return inner if isinstance(inner, type | FunctionType) else type(inner)


def _source_hash(value: object, named: str | None = None) -> str:
    """Of the files that define it and that `named` it: helpers beside it decide what it does, too.

    Of what was typed into a notebook or a terminal its own source, where it is kept, or its name.
    """
    defined = _defined(value)
    digest = hashlib.sha256()
    for module in dict.fromkeys([named or defined.__module__, defined.__module__]):
        try:
            digest.update(Path(inspect.getsourcefile(import_module(module)) or "").read_bytes())
        except (OSError, TypeError):
            digest.update(_typed_source(defined).encode())
    return digest.hexdigest()


def _typed_source(defined: type | FunctionType) -> str:
    with suppress(OSError, TypeError):
        return inspect.getsource(defined)
    return defined.__qualname__
