"""Libraries that are told to say less, and to come at once."""

from __future__ import annotations

import gc
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


def no_loading_bars() -> None:
    """Our own bars are the only ones."""
    with no_collection():
        for library in ("diffusers", "transformers"):
            import_module(f"{library}.utils.logging").disable_progress_bar()


@contextmanager
def no_collection() -> Iterator[None]:
    """Around imports: what modules define stays, and looking through it for garbage again and again
    is a sixth of the time that diffusers and peft take.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


@contextmanager
def quiet(name: str, level: int = logging.ERROR) -> Iterator[None]:
    """Inside, the logger `name` says nothing below `level`: what matters is raised as an error."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
