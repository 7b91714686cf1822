"""A folder that a command writes into has one writer, or several that share its work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from sipo.common.files import url_leases
from sipo.common.files.urls import UrlPath
from sipo.common.files.writing import sweep

_MAKERS = ".maker-*.lock"


@contextmanager
def only_writer(folder: Path, command: str) -> Iterator[None]:
    """Refuse a second process that would write into the same folder. Held while the block runs.

    Makes the folder; one that was made for it and in which nothing was written goes again.
    `command` is who else it would be ("sipo-train"). Where a file system knows no locks (some
    network ones) nothing is refused.
    """
    if isinstance(folder, UrlPath):
        with url_leases.writing(folder, command, exclusive=True):
            yield
        return
    with _writing(folder, command, exclusive=True):
        sweep(folder)
        yield


@contextmanager
def one_of_several(folder: Path, command: str) -> Iterator[None]:
    """The same, beside others that are here too, and refused where somebody is its only writer.

    Each locks a file of its own: who looks whether somebody writes keeps nobody from writing.
    """
    if isinstance(folder, UrlPath):
        with url_leases.writing(folder, command, exclusive=False):
            yield
        return
    with _writing(folder, command, exclusive=False):
        mine = folder / _MAKERS.replace("*", f"{os.getpid():x}-{os.urandom(4).hex()}")
        begun = mine.with_suffix(".new")
        begun.touch()
        with _lock(begun, exclusive=True):
            begun.rename(mine)  # so that none is seen that is not locked yet
            try:
                yield
            finally:
                mine.unlink(missing_ok=True)
                for other in folder.glob(_MAKERS):
                    if not _is_locked(other):  # its process is gone
                        other.unlink(missing_ok=True)


@contextmanager
def _writing(folder: Path, command: str, exclusive: bool) -> Iterator[None]:
    made = [part for part in (folder, *folder.parents) if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with _lock(folder, exclusive=exclusive) as held:
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
    """Whether a process holds it now, as `only_writer` or as `one_of_several`."""
    if isinstance(folder, UrlPath):
        return url_leases.is_written_to(folder)
    return _is_locked(folder) or any(map(_is_locked, folder.glob(_MAKERS)))


def _is_locked(path: Path) -> bool:
    try:
        with _lock(path, exclusive=False) as held:
            return not held
    except FileNotFoundError:
        return False


@contextmanager
def _lock(path: Path, exclusive: bool) -> Iterator[bool]:
    """Whether the lock of a file or folder could be had; it ends with the process, however that
    ends."""
    if sys.platform == "win32":
        yield True
        return
    import fcntl

    descriptor = os.open(path, os.O_RDONLY)
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
