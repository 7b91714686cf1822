"""Whether a folder or a file can be made at a path: asked before hours of work."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from sipo.common.files.urls import UrlPath, require_writable


def require_place(path: Path) -> None:
    """Raises OSError where no folder can be made or written at `path`; makes none."""
    if isinstance(path, UrlPath):
        require_writable(path)
        return
    whole = path.absolute()
    place = next(part for part in (whole, *whole.parents) if part.exists())
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        mounted = hasattr(os, "statvfs") and os.statvfs(place).f_flag & os.ST_RDONLY
        code = errno.EROFS if mounted else errno.EACCES
        raise OSError(code, os.strerror(code), str(path))


def require_file_place(path: Path) -> None:
    """As `require_place`, for a file in a folder that is there."""
    if isinstance(path, UrlPath):
        require_writable(path)
        return
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    require_place(path.parent)
