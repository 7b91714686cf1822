"""Libraries that are told to say less."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


def no_loading_bars() -> None:
    """Our own bars are the only ones."""
    for library in ("diffusers", "transformers"):
        import_module(f"{library}.utils.logging").disable_progress_bar()


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
