"""Text that may come by a pipe (`-`, `<(command)`, a FIFO): read once, had as often as asked."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO
from weakref import WeakKeyDictionary

from sipo.common.files.text import STDIN, read_text

_stdin: WeakKeyDictionary[TextIO, str] = WeakKeyDictionary()
_pipes: dict[tuple[int, ...], str] = {}


def is_pipe(path: Path) -> bool:
    """Whether its name says nothing of what is in it."""
    passed_on = path.parts[:3] in (("/", "dev", "fd"), ("/", "dev", "stdin"))
    return path == STDIN or passed_on or not path.is_file()


def read_again(path: Path, what: str = "file") -> str:
    """`read_text`, also of a pipe that was read before."""
    if not is_pipe(path):
        return read_text(path, what)
    if path == STDIN:
        if sys.stdin not in _stdin:
            _stdin[sys.stdin] = read_text(path, what)
        return _stdin[sys.stdin]
    if (text := _pipes.get(_state(path))) is None:
        text = read_text(path, what)
        _pipes[_state(path)] = text
    return text


def _state(path: Path) -> tuple[int, ...]:
    """The same as long as nobody has written into the pipe again."""
    now = path.stat()
    return (now.st_dev, now.st_ino, now.st_mtime_ns)
