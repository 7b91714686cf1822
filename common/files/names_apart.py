"""What to call folders that are compared: what tells their paths apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path


def names_apart(folders: Sequence[Path]) -> list[str]:
    """Of one its own name; of several what tells them apart, the whole paths where that is not
    unique."""
    paths = [folder.resolve().parts for folder in folders]
    if len(paths) == 1:
        return [paths[0][-1]]
    start = _common(paths)
    end = _common([path[start:][::-1] for path in paths])
    names = ["/".join(path[start : len(path) - end]) or path[-1] for path in paths]
    return names if len(set(names)) == len(names) else [str(folder) for folder in folders]


def _common(paths: Sequence[Sequence[str]]) -> int:
    """How many parts all begin with."""
    together = zip(*paths, strict=False)
    return sum(1 for _ in takewhile(lambda parts: len(set(parts)) == 1, together))
