"""What a judge cannot judge is said before a model is loaded."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import sipo.datagen.generation.build
import sipo.geneval.evaluate
import sipo.loop.refusals
from sipo.datagen.cli import main as data_command
from sipo.feedback.detectors import centernet, yolo_world
from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.demands import check_prompts
from sipo.feedback.prompts.prompt import plain_text, prompt_of
from sipo.feedback.registry import JUDGES, MOST_BOXES
from sipo.geneval.cli import main as geneval_command
from sipo.loop.settings import LoopSettings
from sipo.train.build import open_data
from sipo.train.settings import make_settings

PROMPTS = [grammar.single_object("cat"), plain_text("a fox, oil on canvas"), plain_text("rain")]
REFUSED = "the first number 2, 'a fox, oil on canvas'; give GenEval rows"


def no_model(*_: Any, **__: Any) -> None:
    raise AssertionError("a model was loaded")


@pytest.mark.parametrize("judge", [*MOST_BOXES, "vlm", "pickscore,yolo-world", "fake,vlm=x"])
def test_plain_text_is_refused_where_objects_are_looked_for(judge: str) -> None:
    with pytest.raises(ValueError, match=f"2 of the 3 prompts of 'list.txt', {REFUSED}"):
        check_prompts(judge, PROMPTS, "list.txt")
    check_prompts(judge, PROMPTS[:1], "list.txt")


def test_who_reads_text_takes_it() -> None:
    for judge in JUDGES.keys() - MOST_BOXES.keys() - {"vlm", "ocr"}:
        check_prompts(judge, PROMPTS, "list.txt")


def test_questions_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "questions.jsonl"
    known = [{"prompt": p.text, "vqa_list": [["Rain?", "yes"]]} for p in PROMPTS]
    file.write_text("".join(json.dumps(row) + "\r\n" for row in known), encoding="utf-8-sig")
    settings = {"vlm": {"questions": str(file)}}
    check_prompts("vlm", PROMPTS, "list.txt", settings)
    file.write_text(json.dumps(known[0]) + "\n")
    with pytest.raises(ValueError, match=r"finds no questions in .* for 2 of the 3 prompts"):
        check_prompts("vlm", PROMPTS, "list.txt", settings)


def test_more_than_a_detector_tells_apart() -> None:
    many = prompt_of(
        {"tag": "counting", "include": [{"class": "dog", "count": 65}], "prompt": "dogs"}, ""
    )
    check_prompts("owlv2", [many], "list.jsonl")
    with pytest.raises(ValueError, match="at most 64 objects of an image, too few for 1 of the 1"):
        check_prompts("mini-evaluator", [many], "list.jsonl")


def test_the_table_says_what_detectors_return() -> None:
    yolo_world.quiet_ultralytics()
    from ultralytics.utils.nms import non_max_suppression

    suppress = inspect.signature(non_max_suppression).parameters
    assert MOST_BOXES["yolo-world"] == suppress["max_det"].default
    assert MOST_BOXES["mini-evaluator"] == centernet.MAX_PEAKS
    assert MOST_BOXES.keys() <= JUDGES.keys()


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    file = tmp_path / "list.txt"
    file.write_text("a fox, oil on canvas\nrain\n")
    return file


def test_every_command_says_it_first(
    listed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for room in (sipo.datagen.generation.build, sipo.geneval.evaluate):
        monkeypatch.setattr(room, "load_judge", no_model)
    monkeypatch.setattr(sipo.datagen.generation.build, "load_backbone", no_model)
    out = ["--prompts", str(listed), "--out", str(tmp_path / "out")]
    several = ["--judge", "pickscore", "--judge", "yolo-world"]
    for command, words in (
        (data_command, ["generate", *out]),
        (data_command, ["generate", *out, *several]),
        (data_command, ["generate", *out, "--dry-run"]),
        (geneval_command, out),
        (geneval_command, [*out, *several]),
        (geneval_command, [*out, "--dry-run"]),
    ):
        done = CliRunner().invoke(command, words)
        assert done.exit_code == 2, done.output
        assert f"2 of the 2 prompts of '{listed}', the first number 1, 'a fox" in done.output
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="--judge 'yolo-world' looks for the objects"):
        sipo.loop.refusals.check(LoopSettings(prompts=listed, num_prompts=1))
    with pytest.raises(ValueError, match="--evaluator 'mini-evaluator' looks for the objects"):
        sipo.loop.refusals.check(LoopSettings(eval_prompts=listed))


def test_training_says_it_before_it_loads(listed: Path) -> None:
    given = {"data": ["nowhere"], "validation_pairs": 4, "validation_prompts": str(listed)}
    with pytest.raises(
        ValueError, match=r"--validation_judge 'mini-evaluator' looks for .*list.txt"
    ):
        open_data(make_settings(given))
