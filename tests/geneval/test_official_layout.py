"""Folders and rows that others made, and prompt lists that are none of GenEval's."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from sipo.backbones.base import Backbone
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.prompt import Prompt
from sipo.geneval.evaluate import evaluate, plan
from sipo.geneval.results import read_rows
from sipo.geneval.settings import EvalSettings

MakeSettings = Callable[..., EvalSettings]


def test_a_folder_of_the_official_generator(
    make_settings: MakeSettings, prompts: list[Prompt], tmp_path: Path
) -> None:
    """Five digits an image, a grid beside the samples, metadata without a line's end."""
    made = tmp_path / "theirs"
    for number, prompt in enumerate(prompts):
        (made / f"{number:05d}" / "samples").mkdir(parents=True)
        (made / f"{number:05d}" / "metadata.jsonl").write_text(json.dumps(prompt.to_row()))
        Image.new("RGB", (8, 8)).save(made / f"{number:05d}" / "grid.png")
        for index in range(4):
            image = Image.new("RGB", (8, 8), (number, index, 0))
            image.save(made / f"{number:05d}" / "samples" / f"{index:05d}.png")
    summary = evaluate(make_settings(images=made), judge=FakeJudge())
    assert summary.tags["counting"].images == 8
    with pytest.raises(ValueError, match=r"holds .* is asked for"):
        plan(make_settings(images=made, prompts=None, suite="geneval"))


def test_rows_of_the_official_evaluator(tmp_path: Path) -> None:
    """As pandas writes them: slashes escaped, paths of its machine."""
    metadata = r"{\"tag\": \"single_object\", \"include\": [], \"prompt\": \"a photo of a bench\"}"
    line = (
        r'{"filename":"images\/00000\/samples\/00000.png","tag":"single_object",'
        r'"prompt":"a photo of a bench","correct":true,"reason":"","metadata":"' + metadata + '",'
        r'"details":"{\"bench\": [[1.0, 2.0, 3.0, 4.0, 0.98]]}"}'
    )
    (tmp_path / "results.jsonl").write_text(line + "\n")
    [row] = read_rows(tmp_path / "results.jsonl")
    assert row.filename == "images/00000/samples/00000.png"
    assert row.correct
    assert json.loads(row.details)["bench"][0][4] == 0.98


def test_the_official_suite_by_name() -> None:
    work = plan(EvalSettings(suite="geneval"))
    assert len(work.prompts) == 553
    assert work.tags["two_object"] == 99


def test_plain_texts_are_sampled_and_scored(
    make_settings: MakeSettings, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    listed = tmp_path / "list.txt"
    listed.write_text("a fox, oil on canvas\nrain\n")
    summary = evaluate(make_settings(prompts=listed), tiny_backbone, FakeJudge())
    assert list(summary.tags) == ["text"]
    assert summary.tags["text"].images == 4
    assert read_rows(tmp_path / "eval" / "results.jsonl")[0].prompt == "a fox, oil on canvas"
