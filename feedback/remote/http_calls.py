"""JSON over HTTP: some calls at a time, tried again, and counted.

What a server says of one request is a CallError, which fails the images of that request. What no
image causes (a wrong key, a path that is not there, a budget that is used up) ends the command.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import TypeVar
from weakref import finalize

import httpx

from sipo.common.files.strict_json import parse_json
from sipo.feedback.judge_batches import JudgesMistakeError
from sipo.feedback.judge_urls import is_here
from sipo.feedback.remote.http_status import named, passes, remedy_of, retry_after_s

T = TypeVar("T")
R = TypeVar("R")

FIRST_WAIT_S = 0.5  # before the second try; each further one is twice as long
LONGEST_WAIT_S = 120.0  # that a server may ask for
MOST_REPLY = 1 << 26  # bytes
_SAID = 160  # characters of a server's own words


class CallError(ValueError):
    """Why a call came to nothing, in words that failures are counted by.

    `answered`: the server did, and said no to this request; another may fare better.
    """

    def __init__(self, cause: str, answered: bool = False, status: int | None = None) -> None:
        super().__init__(cause)
        self.answered, self.status = answered, status


@dataclass(frozen=True)
class Limits:
    """`timeout_s` is for one try, `most_calls` counts every try, `most_failures` images."""

    timeout_s: float
    tries: int
    threads: int
    most_calls: int | None
    most_failures: int


class HttpCalls:
    """Calls of one server. `key` goes into its Authorization header and nowhere else."""

    def __init__(self, url: str, key: str | None, limits: Limits) -> None:
        self.url, self._key, self._limits = url, key, limits
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=limits.timeout_s,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=limits.threads),
            trust_env=not is_here(url),
        )
        finalize(self, self._client.close)  # nobody tells a judge that it is over
        self._lock, self._calls, self._failures = Lock(), 0, 0
        self._not_before = 0.0  # time.monotonic() that the server asked to wait for

    def get(self, path: str) -> object:
        """Raises CallError, and JudgesMistakeError for what ends the command."""
        return self._tried("GET", path, None, Event())

    def post(self, path: str, body: Mapping[str, object], stop: Event | None = None) -> object:
        return self._tried("POST", path, body, stop or Event())

    def each(self, work: Callable[[T, Event], R], items: Sequence[T]) -> list[R | CallError]:
        """`work` on every item in threads, in their order. It hands its event on to `post`.

        The threads end with the process, so that Ctrl-C need not wait for a server.
        """
        done: dict[int, R | CallError] = {}
        todo, stop = iter(range(len(items))), Event()
        ended: list[BaseException] = []

        def run() -> None:
            while not stop.is_set():
                with self._lock:
                    number = next(todo, None)
                if number is None:
                    return
                try:
                    done[number] = work(items[number], stop)
                except CallError as error:
                    done[number] = error
                except BaseException as error:
                    ended.append(error)
                    stop.set()

        count = min(self._limits.threads, len(items))
        threads = [Thread(target=run, name="judge-http", daemon=True) for _ in range(count)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            stop.set()
        if ended:
            raise ended[0]
        return [done[number] for number in range(len(items))]

    def failed(self, images: int) -> None:
        """Counts images that calls have failed. Raises JudgesMistakeError over the budget."""
        self._failures += images
        if self._failures > (most := self._limits.most_failures):
            raise JudgesMistakeError(
                f"judge 'http' at {self.url} has failed on {self._failures} images, and its "
                f"setting most_failures is {most}; look at the server, or allow more: the same "
                "command again goes on"
            )

    def _tried(
        self, method: str, path: str, body: Mapping[str, object] | None, stop: Event
    ) -> object:
        tries = self._limits.tries
        for number in range(1, tries + 1):
            try:
                return self._once(method, path, body, stop)
            except _AgainError as error:
                cause, answered, asked_s = str(error), error.status == 500, error.wait_s
            if asked_s is not None and asked_s > LONGEST_WAIT_S:
                raise CallError(f"{cause}, which asks to wait for more than {LONGEST_WAIT_S:g} s")
            if number < tries:
                self._wait(FIRST_WAIT_S * 2 ** (number - 1), asked_s, stop)
        raise CallError(f"no answer in {tries} tries: {cause}", answered)

    def _wait(self, usual_s: float, asked_s: float | None, stop: Event) -> None:
        """As long as the server asks; where it does not, some part of the usual."""
        now = time.monotonic()
        if asked_s is not None:  # all threads heed it
            self._not_before = max(self._not_before, now + asked_s)
        stop.wait(min(usual_s, LONGEST_WAIT_S) * random.uniform(0.5, 1))

    def _once(
        self, method: str, path: str, body: Mapping[str, object] | None, stop: Event
    ) -> object:
        stop.wait(max(0.0, self._not_before - time.monotonic()))
        self._count_call(stop)
        try:
            status, headers, text = self._answer(method, path, body)
        except httpx.TimeoutException:
            raise _AgainError(f"timed out after {self._limits.timeout_s:g} s") from None
        except httpx.ConnectError:
            raise _AgainError("cannot connect") from None
        except httpx.TransportError as error:
            raise _AgainError(f"connection broke ({type(error).__name__})") from None
        except httpx.HTTPError as error:
            raise CallError(f"no HTTP ({type(error).__name__})") from None
        if passes(status):
            raise _AgainError(named(status), status, retry_after_s(headers.get("Retry-After")))
        if remedy := remedy_of(status):
            raise self._end(f"answers {named(status)}; {remedy}")
        if status >= 400:
            raise CallError(f"{named(status)}{self._words(text)}", True, status)
        try:
            return parse_json(text, "reply")
        except ValueError as error:
            raise CallError(f"{self._clean(str(error))}", True) from None

    def _answer(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> tuple[int, httpx.Headers, str]:
        """Within the time limit as a whole: a server may send a byte a minute."""
        until = time.monotonic() + self._limits.timeout_s
        with self._client.stream(method, self.url + path, json=body) as response:
            read = bytearray()
            for piece in response.iter_bytes():
                read += piece
                if len(read) > MOST_REPLY:
                    raise CallError(f"reply of more than {MOST_REPLY >> 20} MiB", True)
                if time.monotonic() > until:
                    raise httpx.ReadTimeout("")
        return response.status_code, response.headers, read.decode("utf-8", "replace")

    def _count_call(self, stop: Event) -> None:
        if stop.is_set():
            raise CallError("stopped")
        most = self._limits.most_calls
        with self._lock:
            if most is not None and self._calls >= most:
                raise self._end(
                    f"was called {most} times, its setting most_calls; allow more: the same "
                    "command again goes on"
                )
            self._calls += 1

    def _end(self, sentence: str) -> JudgesMistakeError:
        return JudgesMistakeError(f"judge 'http' at {self.url} {sentence}")

    def _words(self, text: str) -> str:
        """What an error's body says, as these servers write it."""
        try:
            said = parse_json(text, "")
        except ValueError:
            return ""
        for name in ("error", "detail", "message"):
            if isinstance(said, Mapping) and name in said:
                said = said[name]
        return f": {self._clean(said)}" if isinstance(said, str) and said.strip() else ""

    def _clean(self, text: str) -> str:
        """One line, without the key, should a server repeat it."""
        hidden = text.replace(self._key, "***") if self._key else text
        return " ".join(hidden.split())[:_SAID]


class _AgainError(Exception):
    """Another try may do."""

    def __init__(self, cause: str, status: int | None = None, wait_s: float | None = None) -> None:
        super().__init__(cause)
        self.status, self.wait_s = status, wait_s
