"""How a command ends that does not end well: one sentence, no traceback.

Library code raises ValueError that names argument, value and remedy; a command wears
`@user_errors` and the sentence is what the user reads, with exit code 2. A command that is stopped
(Ctrl-C, SIGTERM) says what its KeyboardInterrupt says, or that it goes on when given again.
Everything else is our bug and keeps its traceback.

Sentences name a setting as the command line does, `--batch-size 0`; `in_python_words` makes
`batch_size=0` of it for who calls from Python.
"""

from __future__ import annotations

import errno
import functools
import os
import re
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import TYPE_CHECKING, NoReturn, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from pydantic import ValidationError

P = ParamSpec("P")
R = TypeVar("R")

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_AGAIN_S = 0.05  # until a signal that was lost is sent again
STOPPED = "stopped; the same command again goes on"


class UserError(click.ClickException):
    """`Error: <sentence>` on stderr, exit code 2."""

    exit_code = 2


class Terminated(KeyboardInterrupt):
    """SIGTERM, as a scheduler sends it: ends a command as Ctrl-C does."""


class Stopped(click.ClickException):
    """A command's last word when it was stopped; exit code 128 + the signal's number."""

    def __init__(self, cause: KeyboardInterrupt, message: str = STOPPED) -> None:
        super().__init__(message)
        self.cause = cause

    @property
    def exit_code(self) -> int:  # type: ignore[override]
        return 128 + (signal.SIGTERM if isinstance(self.cause, Terminated) else signal.SIGINT)

    def show(self, file: object = None) -> None:
        _close_bars()
        click.echo(f"\n{self.message}", err=True)


def _close_bars() -> None:
    """A bar that was interrupted while it was made is drawn once more when Python ends it."""
    bars = getattr(getattr(sys.modules.get("tqdm"), "tqdm", None), "_instances", ())
    for bar in list(bars):
        with suppress(AttributeError):  # made by half
            bar.close()
        bar.disable = True


def user_errors(command: Callable[P, R]) -> Callable[P, R]:
    """Decorate the function under `@click.command` (below click's own decorators)."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with sigterm_is_ctrl_c():
                return command(*args, **kwargs)
        except click.ClickException:
            raise
        except KeyboardInterrupt as stop:
            raise Stopped(stop, str(stop) or STOPPED) from stop
        except Exception as error:
            if hidden := _stop_behind(error):
                raise Stopped(hidden) from error
            if (sentence := explain(error)) is None:
                raise
            raise UserError(sentence) from error

    return run


def _stop_behind(error: BaseException) -> KeyboardInterrupt | None:
    """What stopped the command, where its cleaning up failed on the way out and hides it."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, KeyboardInterrupt):
        behind = behind.__context__
    return behind


@contextmanager
def sigterm_is_ctrl_c() -> Iterator[None]:
    """Inside, SIGTERM raises `Terminated`, so that files are closed and workers ended.

    Where Python can but print an exception (at a fork, in a destructor) it would be lost, and
    Ctrl-C's too: there the signal is sent again. Only in a process's main thread.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    def say_again(lost: sys.UnraisableHookArgs) -> None:
        if not isinstance(lost.exc_value, KeyboardInterrupt):
            hook(lost)
            return
        number = signal.SIGTERM if isinstance(lost.exc_value, Terminated) else signal.SIGINT
        later = threading.Timer(_AGAIN_S, os.kill, (os.getpid(), number))
        later.daemon = True
        later.start()

    before, hook = signal.signal(signal.SIGTERM, terminate), sys.unraisablehook
    sys.unraisablehook = say_again
    try:
        yield
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


def explain(error: Exception) -> str | None:
    """The sentence for a user's mistake, None for a bug of ours."""
    if is_disk_full(error):
        place = getattr(error, "filename", None)
        where = f" writing {str(place)!r}" if place else ""
        return f"the disk is full{where}; free some space and run the same command again"
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return f"{error.strerror or error}: {_short(error.filename)}; give a path that can be used"
    if isinstance(error, ChildProcessError | ValueError):
        return _one_line(error)
    return None


def reason_of(error: Exception) -> str:
    """The first sentence of what a library said, to stand in one of ours."""
    said = str(error).strip().splitlines() or [type(error).__name__]
    return said[0].split(". ")[0].rstrip(".")[:160]


def is_disk_full(error: Exception) -> bool:
    """ENOSPC and EDQUOT, also as safetensors wraps them (an error of its own with their text)."""
    if isinstance(error, OSError):
        return error.errno in _DISK_FULL
    return "No space left on device" in str(error)


def _short(path: object) -> str:
    """A path as it was given; the middle of a very long one is left out."""
    text = repr(os.fsdecode(path) if isinstance(path, bytes) else str(path))
    return text if len(text) <= 200 else f"{text[:120]}...{text[-60:]}"


def _one_line(error: Exception) -> str:
    from pydantic import ValidationError

    return (
        sentence_of(error) if isinstance(error, ValidationError) else " ".join(str(error).split())
    )


def sentence_of(error: ValidationError, dash: str = "-") -> str:
    """The first fault that pydantic found: the setting as it is typed, its value, what is wrong."""
    first = error.errors(include_url=False)[0]
    said = first["msg"].removeprefix("Value error, ")
    if not first["loc"] and error.title.endswith("Settings"):  # of several settings, which it names
        return " ".join(said.split())
    field = ".".join(str(part) for part in first["loc"]) or error.title
    if error.title.endswith("Settings"):  # a command's own
        field = "--" + field.replace("_", dash)
    value = first["input"] if _is_number(first["input"]) else repr(first["input"])[:80]
    if first["type"] == "literal_error":
        choices = first["ctx"]["expected"].replace("'", "").replace(" or ", ", ")
        return f"{field} {value} is unknown; choose one of {choices}"
    if first["type"] == "extra_forbidden":
        said = "there is no such setting"
    if first["type"] == "string_type" and isinstance(first["input"], int | float):
        said += "; put it in quotes"
    return f"{field} {value}: {said}"


def _is_number(value: object) -> bool:
    """Also one that was typed, as a command line has it: 0 and not '0' is what is said of it."""
    return isinstance(value, str) and re.fullmatch(r"-?\d+(\.\d*)?(e-?\d+)?", value) is not None


_OPTION = re.compile(
    r"""(?<![\w/'"-])--(?!help\b)([a-z]\w*(?:-\w+)*)"""
    r"""(?:\ (?=['"[{]|-?\.?\d|(?:None|True|False|nan|-?inf)\b))?""",
)
"""An option, with the space before a value that is written as Python writes it."""


def python_words(sentence: str) -> str:
    """ "--batch-size 0: ..." -> "batch_size=0: ..."; "give --judge" -> "give judge"."""

    def named(option: re.Match[str]) -> str:
        return option[1].replace("-", "_") + "=" * option[0].endswith(" ")

    return _OPTION.sub(named, sentence)


@contextmanager
def in_python_words() -> Iterator[None]:
    """Inside, a ValueError names settings as a Python caller writes them, not as options.

    Its type and traceback stay, but for pydantic's, whose sentence becomes a plain ValueError's.
    """
    from pydantic import ValidationError

    try:
        yield
    except ValidationError as error:
        raise ValueError(python_words(sentence_of(error))) from error
    except ValueError as error:
        if len(error.args) == 1 and isinstance(error.args[0], str):
            error.args = (python_words(error.args[0]),)
        raise
