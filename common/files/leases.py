"""Who works on what, among processes that share a folder and nothing else.

A lease is a file that one process alone can make. Its owner touches it while it works; another
takes it over once it has watched it untouched for STALE_S seconds of its own clock, so that clocks
of machines are never compared, or at once where the owner was a process of this machine and is
gone.
A process that was suspended may wake up and find its lease another's: for a moment two do the same
work, so what is leased must be work that gives the same bytes whoever does it, each file whole.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from sipo.common.files.strict_json import load_json

STALE_S = 90.0
BEAT_S = 15.0


@dataclass(frozen=True)
class Owner:
    """`machine` says where `pid` means something: one boot of one machine, one set of pids."""

    machine: str
    pid: int
    key: str

    @classmethod
    def this_process(cls) -> Owner:
        return cls(_machine(), os.getpid(), uuid.uuid4().hex)

    @property
    def is_gone(self) -> bool:
        """For certain: False of a process elsewhere."""
        if self.machine != _machine():
            return False
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        except OSError:  # it is another user's
            pass
        return False


@dataclass(frozen=True)
class Mark:
    """A lease as it was seen; every touch gives another `beat`."""

    owner: Owner
    beat: int


class Store(Protocol):
    """Where leases are. Every method is one atomic operation."""

    def create(self, name: str, owner: Owner) -> bool:
        """False where there is one."""

    def look(self, name: str) -> Mark | None: ...

    def touch(self, name: str, owner: Owner) -> None:
        """Of that owner's; another's stays as it is."""

    def remove(self, name: str, mark: Mark) -> bool:
        """False where it is no longer that owner's: released, or taken by somebody else."""

    def names(self, of: str) -> Iterable[str]:
        """Those that begin so, of leases that are there; it may be late."""


class Leases:
    """Those of one process."""

    def __init__(
        self,
        store: Store,
        owner: Owner | None = None,
        clock: Callable[[], float] = time.monotonic,
        stale_s: float = STALE_S,
    ) -> None:
        self.owner = owner or Owner.this_process()
        self.held: set[str] = set()
        self.taken_over: set[str] = set()
        self._store, self._clock, self._stale_s = store, clock, stale_s
        self._seen: dict[str, tuple[Mark, float]] = {}

    def claim(self, name: str) -> bool:
        """Whether it is this process's now; `taken_over` has it where its owner had left it."""
        mark = self._store.look(name)  # cheaper than to try, where it is another's
        if not (self._store.create(name, self.owner) if mark is None else self._take(name, mark)):
            return False
        self._seen.pop(name, None)
        self.held.add(name)
        return True

    def wait_for(self, name: str, every_s: float) -> None:
        while not self.claim(name):
            time.sleep(every_s)

    def release(self, name: str) -> None:
        self.held.discard(name)
        mark = self._store.look(name)
        if mark is not None and mark.owner == self.owner:
            self._store.remove(name, mark)

    def free_left(self, of: str) -> None:
        """Of pieces that were done when a killed process could not say so any more."""
        for name in self._store.names(of):
            if self.claim(name):
                self.release(name)

    def beat(self) -> None:
        """What is held stays held."""
        for name in list(self.held):
            self._store.touch(name, self.owner)

    @contextmanager
    def beating(self, every_s: float = BEAT_S) -> Iterator[None]:
        """While the block runs; what is held at its end is released, also when it fails."""
        ended = threading.Event()

        def heart() -> None:
            while not ended.wait(every_s):
                self.beat()

        thread = threading.Thread(target=heart, name="leases", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            for name in list(self.held):
                self.release(name)

    def _take(self, name: str, mark: Mark) -> bool:
        if not (mark.owner.is_gone or self._is_stale(name, mark)):
            return False
        if not (self._store.remove(name, mark) and self._store.create(name, self.owner)):
            return False
        self.taken_over.add(name)
        return True

    def _is_stale(self, name: str, mark: Mark) -> bool:
        now = self._clock()
        before, since = self._seen.setdefault(name, (mark, now))
        if before != mark:
            self._seen[name] = (mark, now)
            return False
        return now - since >= self._stale_s


@dataclass(frozen=True)
class FileStore:
    """Leases as files of a folder, local or on NFS.

    Made by `link`, which NFS does or refuses as one operation where `open(O_EXCL)` of old versions
    does not; where links are unknown by `open` all the same. Removed by a rename to a name of one's
    own, which of several succeeds once.
    """

    folder: Path

    def create(self, name: str, owner: Owner) -> bool:
        path = self._path(name)
        content = json.dumps(asdict(owner)).encode()
        mine = path.with_name(f"{path.name}.{owner.key}")
        mine.write_bytes(content)
        try:
            os.link(mine, path)
        except FileExistsError:
            return False
        except OSError:  # a file system without links
            return _create(path, content)
        finally:
            mine.unlink(missing_ok=True)
        return True

    def look(self, name: str) -> Mark | None:
        return _read(self._path(name))

    def touch(self, name: str, owner: Owner) -> None:
        mark = self.look(name)
        if mark is not None and mark.owner == owner:
            with suppress(OSError):
                os.utime(self._path(name))

    def remove(self, name: str, mark: Mark) -> bool:
        path = self._path(name)
        away = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        try:
            path.rename(away)
        except FileNotFoundError:
            return False
        taken = _read(away)
        was_theirs = taken is None or taken.owner == mark.owner
        if not was_theirs:  # another's by then: put it back
            with suppress(OSError):
                os.link(away, path)
        away.unlink(missing_ok=True)
        return was_theirs

    def names(self, of: str) -> list[str]:
        found = self.folder.glob(f".{of}*.lease")
        return [path.name.removeprefix(".").removesuffix(".lease") for path in found]

    def _path(self, name: str) -> Path:
        return self.folder / f".{name}.lease"


def _read(path: Path) -> Mark | None:
    """One that is damaged is nobody's, and goes stale."""
    try:
        with path.open(encoding="utf-8") as file:
            beat = os.fstat(file.fileno()).st_mtime_ns
            text = file.read()
    except FileNotFoundError:
        return None
    try:
        return Mark(Owner(**load_json(text)), beat)
    except (ValueError, TypeError):
        return Mark(Owner("", 0, ""), beat)


def _create(path: Path, content: bytes) -> bool:
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    except FileExistsError:
        return False
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    return True


def _machine() -> str:
    parts = [socket.gethostname()]
    with suppress(OSError):
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip())
    with suppress(OSError):
        parts.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(parts)
