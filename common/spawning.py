"""What a process that is started finds, and when it ends."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

PR_SET_PDEATHSIG = 1  # linux/prctl.h


@contextmanager
def environment(ours: Mapping[str, str]) -> Iterator[None]:
    """What a started process finds."""
    before = {name: os.environ.get(name) for name in ours}
    os.environ |= ours
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def without_script() -> Iterator[None]:
    """A process that is started runs the caller's script first, to know its functions: a script
    that calls `sipo.train` at its top level would start itself again. Nothing here needs them.
    """
    script = sys.modules["__main__"]
    before = {name: vars(script).get(name) for name in ("__file__", "__spec__")}
    vars(script).update(dict.fromkeys(before))
    try:
        yield
    finally:
        vars(script).update(before)


def end_with(parent: int) -> None:
    """This process ends when `parent` does, however that happens; Linux only, else nothing."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before that was set
        os._exit(1)
