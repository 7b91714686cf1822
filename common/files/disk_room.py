"""Whether a disk has room for what is to be written: asked before hours of work."""

from __future__ import annotations

import shutil
from pathlib import Path

from sipo.common.amounts import size
from sipo.common.bars import say
from sipo.common.files.places import require_place
from sipo.common.files.urls import UrlPath

LEAST = 20_000_000
"""Bytes without which no command begins: logs, summaries, a small policy."""


def require_room(out: Path, count: float = 0.0) -> None:
    """`count` are the bytes that the work is estimated to take, with what of it is there already.

    Raises ValueError where the disk has less than half of what is left of them, and says so where
    it has less than all: estimates are rough. Raises OSError as `require_place`; buckets have room.
    """
    require_place(out)
    if isinstance(out, UrlPath) or (out / "summary.json").is_file():  # which is written last
        return
    free = free_bytes(out)
    left = max(LEAST, count - written_bytes(out)) if count else LEAST
    takes = f"--out {str(out)!r} takes about {size(left)}, and its disk has {size(free)} left"
    if free < max(LEAST, left / 2):
        raise ValueError(f"{takes}; free some space, or give another --out")
    if free < left:
        say(f"{takes}: it may become full")


def free_bytes(path: Path) -> int:
    """On the disk where `path` is, or would be made."""
    whole = path.absolute()
    return shutil.disk_usage(next(part for part in (whole, *whole.parents) if part.exists())).free


def written_bytes(folder: Path) -> int:
    """Of the files that lie in the folder itself, as shards do."""
    if not folder.is_dir():
        return 0
    return sum(entry.stat().st_size for entry in folder.iterdir() if entry.is_file())
