"""A suite of two prompts a tag, and settings that use it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from written_prompts import write_prompts

from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.settings import EvalSettings

PROMPTS = [
    grammar.single_object("cat"),
    grammar.single_object("dog"),
    grammar.counting("bird", 2),
    grammar.counting("car", 3),
    grammar.colors("bus", "red"),
    grammar.colors("boat", "blue"),
]

MakeSettings = Callable[..., EvalSettings]


@pytest.fixture
def prompts() -> list[Prompt]:
    return PROMPTS


@pytest.fixture
def prompt_file(tmp_path: Path) -> Path:
    write_prompts(PROMPTS, tmp_path / "prompts.jsonl")
    return tmp_path / "prompts.jsonl"


@pytest.fixture
def make_settings(tmp_path: Path, prompt_file: Path, tiny_folder: Path) -> MakeSettings:
    """EvalSettings on the tiny pipeline and the fake judge, into `tmp_path / out`."""

    def make(out: str = "eval", **changes: Any) -> EvalSettings:
        own = {"prompts": prompt_file, "judge": "fake", "out": tmp_path / out}
        if "images" not in changes:
            own |= {"backbone": str(tiny_folder), "images_per_prompt": 2}
            own |= {"batch_size": 5, "workers": 1}
        return EvalSettings(**(own | changes))

    return make
