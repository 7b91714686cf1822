"""What is so in a worker of a Ray cluster, whose process began elsewhere."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel

from sipo.common.files.text import STDIN


@dataclass(frozen=True)
class Place:
    """Where a command was given, and where it finds modules."""

    folder: str
    modules: tuple[str, ...]

    @classmethod
    def here(cls) -> Place:
        return cls(os.getcwd(), tuple(sys.path))

    def enter(self) -> None:
        """Relative paths and modules of one's own are then found as there, where it is shared."""
        if os.path.isdir(self.folder):
            os.chdir(self.folder)
        sys.path += [path for path in self.modules if path not in sys.path]


def refuse_pipes(settings: BaseModel, *names: str) -> None:
    """Raises ValueError for a file among these settings that only this process can read."""
    for name in names:
        path: Path | None = getattr(settings, name)
        if path is not None and (path == STDIN or (path.exists() and not path.is_file())):
            raise ValueError(
                f"--{name.replace('_', '-')} {str(path)!r} is a pipe, which the workers of "
                "--runner 'ray' cannot read; give a file"
            )


def require_shared(file: Path, folder: Path) -> None:
    """Raises ValueError where a file of the command's folder is not to be seen from here."""
    if not file.is_file():
        raise elsewhere(folder)


def elsewhere(folder: Path) -> ValueError:
    return ValueError(
        f"{str(folder)!r} is another folder on node {socket.gethostname()}, or none; give one that "
        "all nodes of the cluster share"
    )
