"""A loop that is stopped goes on with the same command, to what it would have been."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from interrupted import LAST_WORD, stopped
from small_loop import read, timeless

from sipo.loop.cli import main


@pytest.mark.parametrize(
    ("stage", "by", "code"),
    [
        pytest.param("round-0/eval/00001", signal.SIGINT, 130, marks=pytest.mark.slow),
        ("round-1/shards/config.json", signal.SIGTERM, 143),
    ],
)
def test_stopped_and_gone_on_with(
    tmp_path: Path, tiny_folder: Path, finished: Path, stage: str, by: signal.Signals, code: int
) -> None:
    learn, held_out = finished.parent / "learn.jsonl", finished.parent / "held-out.jsonl"
    own: list[object] = ["--backbone", tiny_folder, "--prompts", learn, "--eval-prompts", held_out]
    own += ["--judge", "fake", "--evaluator", "fake", "--num-prompts", 2, "--candidates", 4]
    own += ["--margin", 0, "--max_train_steps", 3, "--train_batch_size", 2, "--rank", 2]
    own += ["--train", "report_to=none", "--train", "workers=1", "--images-per-prompt", 2]
    own += ["--test-prompts", finished.parent / "test.jsonl", "--tolerance", 1]
    own += ["--out", tmp_path / "loop"]
    seen = tmp_path / "loop" / stage
    assert stopped("sipo.loop.cli", own, seen.exists, by) == (code, LAST_WORD)
    assert not (tmp_path / "loop/round-1/eval-judge/summary.json").exists()
    result = CliRunner().invoke(main, [str(word) for word in own])
    assert result.exit_code == 0, result.output
    here, there = (read(out / "loop.json")["rounds"] for out in (tmp_path / "loop", finished))
    assert timeless(here) == timeless(there)[:2]
