"""A user's mistakes at the command line: one sentence, exit code 2, no traceback.

Library code raises ValueError that names argument, value and remedy; a command wears
`@user_errors` and the sentence is what the user reads. Everything else is our bug and keeps its
traceback.
"""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

P = ParamSpec("P")
R = TypeVar("R")

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_USERS_PATHS = (PermissionError, FileNotFoundError, FileExistsError, NotADirectoryError)


class UserError(click.ClickException):
    """`Error: <sentence>` on stderr, exit code 2."""

    exit_code = 2


def user_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Decorate the function under `@click.command` (below click's own decorators)."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return command(*args, **kwargs)
        except click.ClickException:
            raise
        except Exception as error:
            if (sentence := explain(error)) is None:
                raise
            raise UserError(sentence) from error

    return run


def explain(error: Exception) -> str | None:
    """The sentence for a user's mistake, None for a bug of ours."""
    if is_disk_full(error):
        place = getattr(error, "filename", None)
        where = f" writing {str(place)!r}" if place else ""
        return f"the disk is full{where}; free some space and run the same command again"
    if isinstance(error, _USERS_PATHS):
        return f"{error.strerror or error}: {str(error.filename)!r}; give a path that can be used"
    if isinstance(error, ChildProcessError | ValueError):
        return _one_line(error)
    return None


def is_disk_full(error: Exception) -> bool:
    """ENOSPC and EDQUOT, also as safetensors wraps them (an error of its own with their text)."""
    if isinstance(error, OSError):
        return error.errno in _DISK_FULL
    return "No space left on device" in str(error)


def _one_line(error: Exception) -> str:
    from pydantic import ValidationError

    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or error.title
        if error.title.endswith("Settings"):  # a command's own
            field = "--" + field.replace("_", "-")
        return f"{field}: {first['msg']} (got {str(first['input'])[:80]!r})"
    return " ".join(str(error).split())
