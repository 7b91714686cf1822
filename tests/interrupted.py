"""A command in a process of its own that is stopped as people and schedulers stop it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

PATIENCE_S = 240
LAST_WORD = "stopped; the same command again goes on"


def stopped(
    module: str, words: Sequence[object], when: Callable[[], bool], by: signal.Signals
) -> tuple[int, str]:
    """Exit code and last line of `python -m module words`, stopped as soon as `when` holds.

    Ctrl-C reaches the terminal's whole group, a scheduler's SIGTERM the command alone.
    """
    command = [sys.executable, "-m", module, *map(str, words)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        command,
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    )
    end = time.monotonic() + PATIENCE_S
    while not when():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end, "it did not come so far"
        time.sleep(0.002)
    if by is signal.SIGINT:
        os.killpg(process.pid, by)
    else:
        process.send_signal(by)
    _, said = process.communicate(timeout=PATIENCE_S)
    return process.returncode, said.strip().splitlines()[-1]
