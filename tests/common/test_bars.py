"""How work shows that it goes on: a bar where a line can be drawn again, lines elsewhere."""

from __future__ import annotations

import io
import os
import sys

import pytest

from sipo.common import bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def fileno(self) -> int:
        return 2


def test_lines_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with bars.bar(1920, "Candidates", "img", done=120) as shown:
        for _ in range(20):
            bars.numbers(shown, correct="0.61", pairs="7")
            shown.update(90)
            bars.say("said meanwhile")
    said = capsys.readouterr().err
    assert "\r" not in said
    *_, last = said.splitlines()
    assert last.startswith("Candidates: 1,920 img in 0 s, ")
    assert last.endswith(" img/s, correct 0.61, pairs 7")
    assert said.count("Candidates") == 1


def test_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bars, "LINE_S", 0.0)
    with bars.bar(100, "Judging", "img") as shown:
        shown.update(25)
        shown.refresh()
    first, *_ = capsys.readouterr().err.splitlines()[1:]
    assert first.startswith("Judging: 25 of 100 img, 25 %, ")
    assert " left" in first


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"rate": 0.25}, "x: 10 of 90 pairs, 11 %, 4 s/pair, 5 min left"),
        (
            {"rate": 812.4, "postfix": "loss 0.6"},
            "x: 10 of 90 pairs, 11 %, 812 pairs/s, 0 s left, loss 0.6",
        ),
        ({"n": 90}, "x: 90 pairs in 20 s, 4.5 pairs/s"),
        ({"total": None}, "x: 10 pairs in 20 s, 2 s/pair"),
        ({"n": 0}, "x: 0 of 90 pairs, 0 %"),
    ],
)
def test_what_a_line_says(facts: dict[str, object], said: str) -> None:
    plain = {"n": 10, "total": 90, "initial": 0, "elapsed": 20.0, "rate": None, "unit": "pairs"}
    assert bars.line(plain | {"prefix": "x: ", "postfix": None} | facts) == said


def test_nothing_is_said_of_what_was_done_before(capsys: pytest.CaptureFixture[str]) -> None:
    with bars.bar(8, "Sampling", "img", done=8):
        pass
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("size", "term", "drawn"),
    [((80, 24), "xterm", True), ((0, 0), "xterm", False), ((80, 24), "dumb", False)],
)
def test_what_is_a_terminal(
    monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], term: str, drawn: bool
) -> None:
    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(os, "get_terminal_size", lambda _: os.terminal_size(size))
    monkeypatch.setenv("TERM", term)
    with bars.bar(4, "Sampling", "img") as shown:
        shown.update(4)
    assert ("\r" in sys.stderr.getvalue()) is drawn  # type: ignore[attr-defined]
    assert bars.on_terminal() is drawn
