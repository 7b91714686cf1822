"""What may come of data from outside: a value, or a refusal in one sentence that names the file."""

from __future__ import annotations

import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn, TypeVar

from sipo.common.errors import explain

T = TypeVar("T")

SECONDS = 10
MOST_BYTES = 2 * 2**30


class HangsError(Exception):
    """It took longer than SECONDS."""


def outcome(parse: Callable[[], T], *names: str) -> T | None:
    """What `parse` returns; None where it refuses, by a sentence with one of `names` in it.

    Anything else it raises, a hang and 2 GB of new memory are failures.
    """
    before = _peak_bytes()
    try:
        with _at_most(SECONDS):
            return parse()
    except (ValueError, OSError) as error:
        _check_refusal(explain(error), names, error)
        return None
    finally:
        assert _peak_bytes() - before < MOST_BYTES


def _check_refusal(sentence: str | None, names: tuple[str, ...], error: Exception) -> None:
    assert sentence, f"no sentence for {error!r}"
    assert "\n" not in sentence
    assert any(name in sentence for name in names), f"{names} not named: {sentence!r}"


def _peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@contextmanager
def _at_most(seconds: int) -> Iterator[None]:
    def give_up(number: int, frame: FrameType | None) -> NoReturn:
        raise HangsError(seconds)

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
