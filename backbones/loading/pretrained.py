"""Loading through diffusers and transformers, with their complaints as sentences.

Both put random numbers where a file lacks a weight, and only log that they did.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from sipo.backbones.loading.unread import load_unread

_LOGGERS = ("diffusers.models.modeling_utils", "transformers.modeling_utils")
_RANDOM = ("newly initialized", "MISSING")
"""What they log then: diffusers a sentence, transformers a table."""
_COLORS = re.compile(r"\x1b\[[0-9;]*m")


def from_pretrained(kind: Any, path: str, what: str, subfolder: str = "", **options: object) -> Any:
    """`kind.from_pretrained`. Raises ValueError for files that are damaged, absent or do not fit
    their own configuration; `what` begins the sentence."""
    if subfolder:
        options["subfolder"] = subfolder
    with explained(what):
        if (network := load_unread(kind, path, subfolder, options)) is not None:
            return network
        return kind.from_pretrained(path, **options)


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Errors of loading are ValueErrors, and so are weights that were made up."""
    made_up = _Listener()
    loggers = [(logger := logging.getLogger(name), logger.level) for name in _LOGGERS]
    for logger, _ in loggers:
        logger.addHandler(made_up)
        if not logger.isEnabledFor(logging.WARNING):
            logger.setLevel(logging.WARNING)
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except ImportError as error:
        raise ValueError(f"{what} needs a package: {first_line(error)}") from None
    except (OSError, RuntimeError, ValueError, KeyError, SafetensorError) as error:
        if getattr(error, "errno", None) is not None:  # a path, a full disk: said as such
            raise
        raise ValueError(f"{what} cannot be loaded: {first_line(error)}; get it again") from None
    finally:
        for logger, level in loggers:
            logger.removeHandler(made_up)
            logger.setLevel(level)
    if made_up.messages:
        raise ValueError(f"{what} lacks weights: {made_up.messages[0]}; get it again")


@contextmanager
def fitting(option: str, path: Path, backbone: str) -> Iterator[None]:
    """What a model's own loading raises for tensors of another one is a ValueError."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, KeyError, TypeError) as error:
        raise ValueError(
            f"{option} {str(path)!r} does not fit backbone {backbone!r}: {first_line(error)}; "
            "name the --backbone it was trained on"
        ) from None


def first_line(error: Exception) -> str:
    """One or two lines of it: the second, where the first only announces it."""
    lines = [line.strip() for line in str(error).strip("'\" \n").splitlines() if line.strip()]
    return " ".join(lines[:2]).rstrip(".:")[:300] or type(error).__name__


class _Listener(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = _COLORS.sub("", record.getMessage())
        if any(sign in text for sign in _RANDOM):
            self.messages.append(_short(text))


def _short(text: str) -> str:
    """Of a table the row that says what is missing, of a sentence its end with the names."""
    row = next((line for line in text.splitlines() if "MISSING" in line and "|" in line), None)
    if row is not None:
        return row.partition("|")[0].strip()
    return text.partition("newly initialized")[2].partition("\n")[0].strip(" :.")[:200]
