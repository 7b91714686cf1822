"""Pillow's warnings kept back, also where several threads read pictures.

`warnings.catch_warnings` changes the whole process: of two threads that enter and leave it
crosswise, one brings back what the other has set. Here the first that enters sets it, and the last
that leaves brings back what was before.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_lock = Lock()
_inside = 0
_before = warnings.catch_warnings()


@contextmanager
def quiet_pillow() -> Iterator[None]:
    global _inside, _before
    with _lock:
        if not _inside:
            _before = warnings.catch_warnings()
            _before.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL\.")
        _inside += 1
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                _before.__exit__(None, None, None)
