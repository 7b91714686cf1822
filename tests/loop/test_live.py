"""What a loop does now, told by its folder; its page before there is anything to show."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from courses import course, entry

from sipo.loop import live
from sipo.loop.live import LoopPage, now
from sipo.loop.result import LoopSummary

DONE = {"round-0/eval": {"seconds": 60, "done": True}}


def stages(out: Path, **open_ones: float) -> Path:
    rows: dict[str, Any] = DONE | {
        name.replace("_", "/", 1): {"seconds": seconds, "done": False}
        for name, seconds in open_ones.items()
    }
    (out / "stages.json").write_text(json.dumps(rows))
    return out


def test_what_it_does_now(tmp_path: Path) -> None:
    assert now(tmp_path) == "The loop has not begun."
    assert now(stages(tmp_path)) == "No stage is at work; done: 1."
    stages(tmp_path, **{"round-1_shards": 90})
    assert now(tmp_path) == (
        "Now: round 1 samples and judges candidates, 1.5 minutes so far; stages done: 1."
    )
    (tmp_path / "round-2/train-2").mkdir(parents=True)
    (tmp_path / "round-2/train-2/log.jsonl").write_text('{"step": 120}\n{"step": 12')
    (tmp_path / "config.json").write_text('{"max_train_steps": 300}')
    stages(tmp_path, **{"round-2_train-2, part 1": 60})
    assert now(tmp_path).startswith("Now: round 2 trains again, step 120 of 300, 1.0 minutes so")
    past = time.time() - live.QUIET_S - 1
    os.utime(tmp_path / "stages.json", (past, past))
    assert now(tmp_path).startswith("Stopped, and goes on with the same command: round 2 trains")


def test_the_page_waits_and_then_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = LoopPage(tmp_path)
    waiting, before = page.html(), page.state()
    assert "The base is not evaluated yet" in waiting
    assert 'fetch("state")' in waiting
    seen: list[LoopSummary] = []
    monkeypatch.setattr(
        live, "report", lambda out, result, said, goes_on: seen.append(result) or said
    )
    result = course(entry(1, 0.7), best=1)
    (tmp_path / "loop.json").write_text(result.to_json())
    assert page.html() == "The loop has not begun."
    assert [len(each.rounds) for each in seen] == [2]
    assert page.state().version != before.version
