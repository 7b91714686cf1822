"""Leases and the only writer of a folder by URL, in a store that has neither links nor locks.

A lease is an object that is put where none is (S3: `If-None-Match: *`, Google: generation 0), which
the store does or refuses as one operation. To take over and to touch are two, a look and then a
write or removal: where two take over in the same moment both may work on the same piece, which
leases allow for, since it gives the same bytes. A store without that condition has no leases: the
process works as the only writer, and says so.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from sipo.common.files.leases import BEAT_S, STALE_S, FileStore, Leases, Mark, Owner, Store
from sipo.common.files.strict_json import load_json
from sipo.common.files.urls import UrlPath, require_writable
from sipo.common.processes import this_process

_CONDITIONAL = {"s3", "s3a", "gs", "gcs", "memory", "abfs", "az"}
"""Whose fsspec libraries can say "where none is"; whether the server heeds it is tried."""
_WRITER, _MAKER = "writer", "maker"
_known: dict[str, bool] = {}


def store_of(folder: Path) -> Store:
    if not isinstance(folder, UrlPath):
        return FileStore(folder)
    return UrlStore(folder) if has_leases(folder) else _NoStore()


class UrlStore:
    """Leases as objects."""

    def __init__(self, folder: UrlPath) -> None:
        self._folder = folder

    def create(self, name: str, owner: Owner) -> bool:
        path, row = self._path(name), asdict(owner) | {"beat": 0}
        try:
            with path.asked():
                path.filesystem.pipe_file(path.key, json.dumps(row).encode(), mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if "ConditionalRequestConflict" in str(error.__cause__):  # another's, this moment
                return False
            raise
        return True

    def look(self, name: str) -> Mark | None:
        try:
            row = load_json(self._path(name).read_bytes())
            return Mark(Owner(row["machine"], row["pid"], row["key"]), row["beat"])
        except FileNotFoundError:
            return None
        except (ValueError, TypeError, KeyError):  # damaged: it is nobody's, and goes stale
            return Mark(Owner("", 0, ""), 0)

    def touch(self, name: str, owner: Owner) -> None:
        with suppress(OSError):  # of the network; the next beat comes
            mark, path = self.look(name), self._path(name)
            if mark is not None and mark.owner == owner:
                row = asdict(owner) | {"beat": mark.beat + 1}
                with path.asked():
                    path.filesystem.pipe_file(path.key, json.dumps(row).encode())

    def remove(self, name: str, mark: Mark) -> bool:
        now = self.look(name)
        if now is None or now.owner != mark.owner:
            return False
        self._path(name).unlink(missing_ok=True)
        return True

    def names(self, of: str) -> list[str]:
        found = self._folder.glob(f".{of}*.lease")
        return [path.name.removeprefix(".").removesuffix(".lease") for path in found]

    def _path(self, name: str) -> UrlPath:
        return self._folder / f".{name}.lease"


class _NoStore:
    """Where everything is this process's, who is the only one."""

    def create(self, name: str, owner: Owner) -> bool:
        return True

    def look(self, name: str) -> Mark | None:
        return None

    def touch(self, name: str, owner: Owner) -> None:
        pass

    def remove(self, name: str, mark: Mark) -> bool:
        return True

    def names(self, of: str) -> list[str]:
        return []


def has_leases(folder: UrlPath) -> bool:
    """Whether the store refuses what is to be put "where none is" and one is: tried once."""
    if folder.scheme not in _CONDITIONAL:
        return False
    bucket = "/".join(folder.parts[:2])
    if bucket not in _known:
        store, name, owner = UrlStore(folder), f"try-{uuid.uuid4().hex}", Owner.this_process()
        try:
            _known[bucket] = store.create(name, owner) and not store.create(name, owner)
        finally:
            store._path(name).unlink(missing_ok=True)
    return _known[bucket]


@contextmanager
def writing(folder: UrlPath, command: str, exclusive: bool) -> Iterator[None]:
    """As `sipo.common.files.locks` has it of a local folder: alone, or beside others that are.

    A writer that was killed on another machine is waited for until its lease is stale.
    """
    require_writable(folder)
    if not has_leases(folder):
        _alone_or_refuse(folder)
        yield
        return
    store = UrlStore(folder)
    leases = Leases(store)
    mine = _WRITER if exclusive else f"{_MAKER}-{leases.owner.key}"
    with leases.beating():
        try:
            if exclusive:
                _claim(leases, store, _WRITER, folder, command)
                others = store.names(f"{_MAKER}-")
            else:
                leases.claim(mine)
                others = store.names(_WRITER)
            for name in others:
                _claim(leases, store, name, folder, command)
                leases.release(name)
            yield
        finally:
            leases.release(mine)
            _sweep_gone(store)


def is_written_to(folder: UrlPath) -> bool:
    """Whether a process holds it. Of one on another machine that is told by a touch of its lease,
    which is waited for."""
    if folder.scheme not in _CONDITIONAL:
        return False
    store = UrlStore(folder)
    names = (*store.names(_WRITER), *store.names(f"{_MAKER}-"))
    seen = {name: mark for name in names if (mark := store.look(name)) and not mark.owner.is_gone}
    ends = time.monotonic() + 2 * BEAT_S
    while seen and not any(_is_here(mark.owner) for mark in seen.values()):
        if any(store.look(name) not in (mark, None) for name, mark in seen.items()):
            return True
        if time.monotonic() > ends:
            return False
        time.sleep(1.0)
    return bool(seen)


def _sweep_gone(store: UrlStore) -> None:
    """Of makers whose process is gone, which nobody else would take away."""
    for name in store.names(f"{_MAKER}-"):
        if (mark := store.look(name)) and mark.owner.is_gone:
            store.remove(name, mark)


def _claim(leases: Leases, store: UrlStore, name: str, folder: UrlPath, command: str) -> None:
    first, told, ends = store.look(name), False, time.monotonic() + 2 * STALE_S
    while not leases.claim(name):
        now = store.look(name)
        if now is not None and (now != first or _is_here(now.owner) or time.monotonic() > ends):
            raise ValueError(
                f"another {command} is writing to {folder}; wait for it to end, or give another "
                "folder"
            )
        if not told:
            message = f"{folder}: waiting up to {STALE_S:.0f} s for a writer that may be gone"
            print(message, file=sys.stderr)
        told = True
        time.sleep(1.0)


def _is_here(owner: Owner) -> bool:
    """Of this machine, where a process that is gone would be known to be."""
    return owner.machine == Owner.this_process().machine


def _alone_or_refuse(folder: UrlPath) -> None:
    said = f"{folder.scheme}:// has no conditional put, so processes cannot share {folder}"
    if this_process().count > 1:
        raise ValueError(f"{said}; start one, or give s3:// or a folder")
    print(f"{said}: this one must be its only writer", file=sys.stderr)
