"""What is so in a worker of a Ray cluster, whose process began elsewhere."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path


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


def require_shared(file: Path, folder: Path) -> None:
    """Raises ValueError where a file of the command's folder is not to be seen from here."""
    if not file.is_file():
        raise elsewhere(folder)


def elsewhere(folder: Path) -> ValueError:
    return ValueError(
        f"{str(folder)!r} is another folder on node {socket.gethostname()}, or none; give one that "
        "all nodes of the cluster share"
    )
