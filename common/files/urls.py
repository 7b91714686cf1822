"""A folder or file by its URL (`s3://bucket/shards`), where a path is expected.

`UrlPath` is a `pathlib.Path` whose looking and reading go through fsspec, so that what names,
joins and opens paths need not know which kind it has, and what has a local one runs the code that
it ran before. universal_pathlib's UPath is no `Path`: every annotation and every `isinstance` would
have to name it, its files are read in blocks of megabytes where a sample is kilobytes, and its
`rename`, by which whole files appear, is a copy. What only a disk can do (rename, link, lock, be
mapped into memory, be appended to) is refused: the operating system is never given a URL, which
it would take for a folder called "s3:" where one stands.

Files are written by `sipo.common.files.writing.atomic`, which uploads what is whole. Keys, regions
and endpoints are the store's library's matter: it reads them from the environment.
"""

from __future__ import annotations

import errno
import fnmatch
import io
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PosixPath
from typing import IO, Any, NoReturn

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.:-]+):(/+)")
"""A drive (C:/) has one letter."""
_BLOCK = 1 << 20  # bytes that are read ahead where a file is read through
_IN_MEMORY = 1 << 26  # bytes; a larger file is uploaded from the disk
_EXTRAS = {"s3": "sipo[s3]", "s3a": "sipo[s3]", "gs": "gcsfs", "gcs": "gcsfs", "abfs": "adlfs"}
_READ_ONLY = {
    "hf": "every file would be a commit of its own; write to a folder and upload that",
    "http": "nothing can be listed there; give s3://, gs:// or a folder",
    "https": "nothing can be listed there; give s3://, gs:// or a folder",
}
_WHOLE = {scheme: {"max_concurrency": 1} for scheme in ("s3", "s3a")}
"""How a file is read whole, without asking for its size before."""
_near: dict[str, Path] = {}


def is_url(text: object) -> bool:
    """Also one of which `Path` has made "s3:/bucket"."""
    if not isinstance(text, str | Path) or not (found := _URL.match(str(text))):
        return False
    if len(found[2]) > 1:
        return True
    from fsspec.registry import known_implementations

    return found[1].lower() in known_implementations


def place_of(text: str | Path) -> Path:
    """The path that a text names: by URL where it is one, `file://` and all else on this machine.

    Raises ValueError for a store whose library is not installed, or that there is none of.
    """
    if isinstance(text, UrlPath):
        return text
    if not is_url(text):
        return Path(text)
    scheme, _, name = str(text).partition(":")
    if scheme.lower() in ("file", "local"):
        return Path("/" + name.lstrip("/"))
    path = UrlPath(f"{scheme.lower()}://{name.lstrip('/')}")
    if len(path.parts) < 2 or ".." in path.parts:
        raise ValueError(f"{text} names no folder of a store; give one as s3://BUCKET/FOLDER")
    _filesystem(path.scheme)
    return path


class UrlPath(PosixPath):
    """Raises FileNotFoundError, PermissionError, or OSError with what the store's library said."""

    def __str__(self) -> str:
        first, *others = self.parts or ("",)
        return f"{first}//{'/'.join(others)}" if first.endswith(":") else "/".join(self.parts)

    def __fspath__(self) -> str:
        raise ValueError(
            f"{self} is a URL, and this needs a folder of this machine; give a local path"
        )

    def __repr__(self) -> str:
        return f"UrlPath({str(self)!r})"

    @property
    def scheme(self) -> str:
        return self.parts[0].rstrip(":")

    @property
    def filesystem(self) -> Any:
        return _filesystem(self.scheme)

    @property
    def key(self) -> str:
        """The name that the file system knows it by."""
        return str(self.filesystem._strip_protocol(str(self)))

    def _entry(self) -> dict[str, Any] | None:
        try:
            with self.asked():
                return dict(self.filesystem.info(self.key, refresh=True))
        except FileNotFoundError:
            return None

    def exists(self, **_: Any) -> bool:
        return self._entry() is not None

    def is_file(self, **_: Any) -> bool:
        return (self._entry() or {}).get("type") == "file"

    def is_dir(self, **_: Any) -> bool:
        return (self._entry() or {}).get("type") == "directory"

    def stat(self, **_: Any) -> os.stat_result:
        """Kind and size, and nothing else."""
        if near := _near.get(str(self)):
            return near.stat()
        if (entry := self._entry()) is None:
            self._missing()
        kind = stat.S_IFREG if entry["type"] == "file" else stat.S_IFDIR
        return os.stat_result((kind, 0, 0, 1, 0, 0, entry["size"] or 0, 0, 0, 0))

    def glob(self, pattern: str, **_: Any) -> Iterator[UrlPath]:  # type: ignore[override]
        """Of its own files and folders."""
        assert "/" not in pattern
        return (path for path in self.iterdir() if fnmatch.fnmatchcase(path.name, pattern))

    def iterdir(self) -> Iterator[UrlPath]:  # type: ignore[override]
        """Nothing where there is no such folder: one is there by what is in it."""
        try:
            with self.asked():
                entries = self.filesystem.ls(self.key, detail=True, refresh=True)
        except FileNotFoundError:
            return
        names = (str(entry["name"]).rstrip("/") for entry in entries)
        yield from (self / name.rpartition("/")[2] for name in names if name != self.key)

    def open(self, mode: str = "r", *_: Any, encoding: str | None = None, **__: Any) -> IO[Any]:  # type: ignore[override]
        """To read, from any place on."""
        if set(mode) - set("rbt"):
            raise ValueError(f"{self} is a URL, where files are written whole; give a local path")
        if near := _near.get(str(self)):
            binary: Any = near.open("rb")
        else:
            with self.asked():
                binary = self.filesystem.open(self.key, mode="rb", block_size=_BLOCK)
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding or "utf-8")

    def read_bytes(self) -> bytes:
        if near := _near.get(str(self)):
            return near.read_bytes()
        with self.asked():
            return bytes(self.filesystem.cat_file(self.key, **_WHOLE.get(self.scheme, {})))

    def read_ranges(self, places: Sequence[tuple[int, int]]) -> list[bytes]:
        """The bytes at (offset, size) of each place, asked for at once."""
        starts = [offset for offset, _ in places]
        ends = [offset + size for offset, size in places]
        with self.asked():
            files = [self.key] * len(places)
            found = self.filesystem.cat_ranges(files, starts, ends, on_error="raise")
        return [bytes(each) for each in found]

    def upload(self, source: Path) -> None:
        """Of a whole file; it is there when all of it is."""
        with self.asked():
            if source.stat().st_size <= _IN_MEMORY:
                self.filesystem.pipe_file(self.key, source.read_bytes())
            else:
                self.filesystem.put_file(str(source), self.key)

    def copy_to(self, target: UrlPath) -> None:
        """By the store itself where both are in one, else through this machine."""
        if self.filesystem is target.filesystem:
            with self.asked():
                self.filesystem.cp_file(self.key, target.key)
            return
        with near(self):
            target.upload(_near[str(self)])

    def unlink(self, missing_ok: bool = False) -> None:
        try:
            with self.asked():
                self.filesystem.rm_file(self.key)
        except FileNotFoundError:
            if not missing_ok:
                raise

    def mkdir(self, *_: Any, **__: Any) -> None:
        """Nothing to do: a folder is there as soon as there is something in it."""

    def absolute(self) -> UrlPath:
        return self

    def resolve(self, strict: bool = False) -> UrlPath:
        return self

    def samefile(self, other: Any) -> bool:
        return str(self) == str(other)

    @contextmanager
    def asked(self) -> Iterator[None]:
        """What the store's library raises, as an OSError that names the URL."""
        try:
            yield
        except FileNotFoundError:
            self._missing()
        except FileExistsError:
            raise
        except PermissionError as error:
            raise PermissionError(errno.EACCES, _said(error), str(self)) from error
        except Exception as error:  # each library has its own: no keys, no such bucket, no network
            raise OSError(errno.EIO, _said(error), str(self)) from error

    def _missing(self) -> NoReturn:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self)) from None


def refuse_read_only(path: UrlPath) -> None:
    if reason := _READ_ONLY.get(path.scheme):
        raise ValueError(f"{path} can only be read: {reason}")


def require_writable(path: UrlPath) -> None:
    """Raises ValueError for what can only be read, OSError where there is no such bucket."""
    refuse_read_only(path)
    bucket = UrlPath(*path.parts[:2])
    if path.scheme != "memory" and not bucket.exists():
        raise FileNotFoundError(errno.ENOENT, "there is no such bucket", str(bucket))


def read_ranges(path: Path, places: Sequence[tuple[int, int]]) -> list[bytes]:
    """The bytes at (offset, size) of each place of a file."""
    if isinstance(path, UrlPath) and str(path) not in _near:
        return path.read_ranges(places)
    found = []
    with path.open("rb") as file:
        for offset, size in places:
            file.seek(offset)
            found.append(file.read(size))
    return found


@contextmanager
def near(path: Path) -> Iterator[None]:
    """While the block runs, a file that is read through several times is read from a copy on this
    machine, where it is far."""
    if not isinstance(path, UrlPath) or str(path) in _near:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="sipo-") as folder:
        copy = Path(folder, path.name)
        with path.asked():
            path.filesystem.get_file(path.key, str(copy))
        _near[str(path)] = copy
        try:
            yield
        finally:
            del _near[str(path)]


@contextmanager
def uploaded(path: UrlPath) -> Iterator[io.BufferedRandom]:
    """A file on this machine that is uploaded when the block has ended well."""
    refuse_read_only(path)
    with tempfile.TemporaryDirectory(prefix="sipo-") as folder:
        temporary = Path(folder, path.name)
        with temporary.open("w+b") as file:
            yield file
        path.upload(temporary)


def _filesystem(scheme: str) -> Any:
    import fsspec

    try:  # fsspec keeps it, and makes another after a fork; listings are never kept: others write
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        install = f"pip install '{_EXTRAS[scheme]}'" if scheme in _EXTRAS else str(error)
        raise ValueError(f"{scheme}:// needs a library that is not installed; {install}") from None
    except ValueError:
        raise ValueError(
            f"{scheme}:// is no store that fsspec knows; give s3://, gs:// or a folder"
        ) from None
    except Exception as error:
        raise OSError(errno.EIO, _said(error), f"{scheme}://") from error


def _said(error: Exception) -> str:
    said = str(error).strip().splitlines() or [type(error).__name__]
    return f"{said[0][:200].rstrip('.')} ({type(error).__name__})"
