"""A loop on the tiny pipeline that takes seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written_prompts import write_prompts

from sipo.feedback.prompts import grammar
from sipo.loop.rounds import loop
from sipo.loop.settings import LoopSettings

LEARN = [grammar.colors(name, "red") for name in ("bus", "cat", "dog", "cow")]
HELD_OUT = [grammar.single_object("cat"), grammar.counting("car", 3), grammar.colors("boat", "red")]

MakeSettings = Callable[..., LoopSettings]


def settings_for(folder: Path, tiny: Path, **changes: Any) -> LoopSettings:
    """Two rounds of two prompts each, judged by hash."""
    write_prompts(LEARN, folder / "learn.jsonl")
    write_prompts(HELD_OUT, folder / "held-out.jsonl")
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
        "images_per_prompt": 2,
        "evaluator": "fake",
    }
    return LoopSettings(**(own | changes))


@pytest.fixture
def make_settings(tmp_path: Path, tiny_folder: Path) -> MakeSettings:
    def make(**changes: Any) -> LoopSettings:
        return settings_for(tmp_path, tiny_folder, **changes)

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """The folder of a loop of one round that was then asked for a second. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    loop(settings_for(folder, tiny_folder, rounds=1))
    loop(settings_for(folder, tiny_folder))
    return folder / "loop"
