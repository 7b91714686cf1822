"""A command of sipo inside this process, which starts the next one without loading torch again."""

from __future__ import annotations

import shlex
import time
import traceback
from contextlib import redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path

ROOMS = {"sipo-data": "datagen", "sipo-train": "train", "sipo-geneval": "geneval"}


def call(command: str, log: Path) -> float:
    """Returns its seconds of CPU. Raises RuntimeError with its last lines when it failed."""
    name, *words = shlex.split(command)
    main = import_module(f"sipo.{ROOMS[name]}.cli").main
    log.parent.mkdir(parents=True, exist_ok=True)
    began = time.process_time()
    with log.open("a", encoding="utf-8") as file, redirect_stdout(file), redirect_stderr(file):
        print(f"$ {command}")
        try:
            main(words, standalone_mode=False)
            failed = False
        except BaseException:  # also what ends a process
            traceback.print_exc()
            failed = True
    if failed:
        raise RuntimeError(f"{command}\n{log.read_text(encoding='utf-8')[-2000:]}")
    return time.process_time() - began
