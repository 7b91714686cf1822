"""A folder that a command writes into has one writer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def only_writer(folder: Path, command: str) -> Iterator[None]:
    """Refuse a second process that would write into the same folder. Held while the block runs.

    Makes the folder; one that was made for it and in which nothing was written goes again.
    `command` is who else it would be ("sipo-train"). Where a file system knows no locks (some
    network ones) nothing is refused.
    """
    made = [part for part in (folder, *folder.parents) if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _lock(folder, exclusive=True) as held:
            if not held:
                raise ValueError(
                    f"another {command} is writing to {folder}; wait for it to end, or give "
                    "another folder"
                )
            yield
    finally:
        for part in made:
            with suppress(OSError):  # it is not empty
                part.rmdir()


def is_written_to(folder: Path) -> bool:
    """Whether a process holds `only_writer` of it now."""
    with _lock(folder, exclusive=False) as held:
        return not held


@contextmanager
def _lock(folder: Path, exclusive: bool) -> Iterator[bool]:
    """Whether the folder's lock could be had; it ends with the process, however that ends."""
    if sys.platform == "win32":
        yield True
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        held = True
        try:
            how = fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            held = False
        except OSError:  # no locks here
            pass
        yield held
    finally:
        os.close(descriptor)
