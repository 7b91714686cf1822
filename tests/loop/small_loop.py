"""A loop on the tiny pipeline that takes seconds, and how it is stopped and looked at."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from written_prompts import write_prompts

from sipo.feedback.prompts import grammar
from sipo.loop import rounds
from sipo.loop.settings import LoopSettings

LEARN = [grammar.colors(name, "red") for name in ("bus", "cat", "dog", "cow")]
HELD_OUT = [grammar.single_object("cat"), grammar.counting("car", 3), grammar.colors("boat", "red")]
TEST = [grammar.single_object("dog"), grammar.counting("cow", 2)]

MakeSettings = Callable[..., LoopSettings]


def settings_for(folder: Path, tiny: Path, **changes: Any) -> LoopSettings:
    """Two rounds of two prompts each, judged by hash, accepted whatever that says."""
    write_prompts(LEARN, folder / "learn.jsonl")
    write_prompts(HELD_OUT, folder / "held-out.jsonl")
    write_prompts(TEST, folder / "test.jsonl")
    own: dict[str, Any] = {
        "rounds": 2,
        "out": folder / "loop",
        "backbone": str(tiny),
        "prompts": folder / "learn.jsonl",
        "num_prompts": 2,
        "candidates": 4,
        "margin": 0,
        "judge": "fake",
        "max_train_steps": 3,
        "train_batch_size": 2,
        "rank": 2,
        "train": LoopSettings().train | {"report_to": "none", "workers": "1"},
        "eval_prompts": folder / "held-out.jsonl",
        "test_prompts": folder / "test.jsonl",
        "images_per_prompt": 2,
        "evaluator": "fake",
        "tolerance": 1,
    }
    return LoopSettings(**(own | changes))


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def timeless(entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rounds of loop.json without how long they took."""
    kept = [{k: v for k, v in entry.items() if "minutes" not in k} for entry in entries]
    return [
        entry | ({"rejected": timeless(entry["rejected"])} if "rejected" in entry else {})
        for entry in kept
    ]


def stopped_at(calls: int, name: str) -> Callable[..., Any]:
    """The stage's function, interrupted once it was called so often."""
    original, count = getattr(rounds, name), iter(range(calls))

    def stage(*args: Any) -> Any:
        if next(count, None) is None:
            raise KeyboardInterrupt
        return original(*args)

    return stage
