"""A folder by URL that is worked in on this machine: fetched before, uploaded where it is whole.

What is appended to, renamed or mapped into memory needs a disk. The store has the truth: the folder
here is made new from it, and goes again when all of it is up there.
"""

from __future__ import annotations

import atexit
import getpass
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sipo.common.bars import say
from sipo.common.files.urls import UrlPath, place_of

Entry = tuple[int, int]
"""Size in bytes and time of a file of this machine."""
_fetched: dict[tuple[str, str], Path] = {}


def working_folder(place: str | Path) -> Path:
    """Where one works on it: there, or for a URL in a folder that all processes of a user on this
    machine know, under the temporary one (TMPDIR)."""
    there = place_of(place)
    if not isinstance(there, UrlPath):
        return there
    return _alone(there).joinpath(*there.parts[1:])


def _alone(there: UrlPath) -> Path:
    """The folder of this machine in which nothing else is; below it names are as they are there, by
    which runs are called."""
    return _own_folder() / hashlib.sha256(str(there).encode()).hexdigest()[:16]


class WorkingFolder:
    """`last` says of a file's name (relative, with /) how late it is uploaded: what says of others
    that they are whole goes up after them, and is taken away before them.

    Of a folder of this machine there is nothing to do. One process of a machine fetches, one of all
    uploads.
    """

    def __init__(self, place: str | Path, last: Callable[[str], int] = lambda name: 0) -> None:
        self.place = place_of(place)
        self.there = self.place if isinstance(self.place, UrlPath) else None
        self.here, self._last = working_folder(place), last
        self._uploaded: dict[str, Entry] = {}
        self._is_whole = True

    @contextmanager
    def fetched(self, ours: bool) -> Iterator[None]:
        """While the block runs its files are here; `ours` to fetch and to take away again. Where an
        upload did not come to its end they stay, and it is said where."""
        if self.there is None or not ours:
            yield
            return
        _own_folder().mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(_own_folder(), os.W_OK):
            raise ValueError(f"{_own_folder()} is another user's; set TMPDIR to a folder of yours")
        shutil.rmtree(_alone(self.there), ignore_errors=True)
        self.here.mkdir(parents=True)
        _download(self.there, self.there.files(), self.here)
        self._uploaded = _files(self.here)
        try:
            yield
        finally:
            if self._is_whole:
                shutil.rmtree(_alone(self.there), ignore_errors=True)
            else:
                say(f"{self.here} has what {self.there} lacks")

    def upload(self) -> None:
        """What is new or changed, and takes away there what is no longer here."""
        if self.there is None:
            return
        self._is_whole = False
        files = _files(self.here)
        changed = {name for name in files if self._uploaded.get(name) != files[name]}
        marks = {name for name in changed & self._uploaded.keys() if self._last(name)}
        gone = marks | (self._uploaded.keys() - files.keys())
        for name in sorted(gone, key=self._last, reverse=True):
            (self.there / name).unlink(missing_ok=True)
            del self._uploaded[name]
        for name in sorted(changed, key=lambda name: (self._last(name), name)):
            (self.there / name).upload(self.here / name)
            self._uploaded[name] = files[name]
        self._is_whole = True


def at_hand(path: Path, names: Sequence[str]) -> Path:
    """A folder of which those files and folders are wanted that are there, to be read on this
    machine: by URL they are fetched once a process, and again where they have changed."""
    if not isinstance(path, UrlPath):
        return path
    wanted = {name: known for name, known in path.files().items() if _is_of(name, names)}
    key = str(path), repr(sorted(wanted.items()))
    if key not in _fetched:
        folder = Path(tempfile.mkdtemp(prefix="sipo-")) / path.name
        atexit.register(shutil.rmtree, folder.parent, ignore_errors=True)
        _download(path, wanted, folder)
        _fetched[key] = folder
    return _fetched[key]


def _is_of(name: str, names: Sequence[str]) -> bool:
    return any(name == each or name.startswith(f"{each}/") for each in names)


def _download(there: UrlPath, names: Iterable[str], here: Path) -> None:
    for name in names:
        (here / name).parent.mkdir(parents=True, exist_ok=True)
        (there / name).download(here / name)


def _files(folder: Path) -> dict[str, Entry]:
    """Those that are whole: none that is hidden, or in a hidden folder."""
    found = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in name.parts):
            stat = path.stat()
            found[name.as_posix()] = stat.st_size, stat.st_mtime_ns
    return found


def _own_folder() -> Path:
    """Of this user."""
    user = os.getuid() if hasattr(os, "getuid") else getpass.getuser()
    return Path(tempfile.gettempdir()) / f"sipo-{user}"
