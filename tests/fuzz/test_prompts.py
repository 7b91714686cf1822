"""Prompt rows, labelled images, questions, answers: the lists that people write."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import damaged, lines_of
from outcome import outcome
from suite_samples import corebench, dpg_csv, oneig, unigenbench

from sipo.feedback.labelled_images import read_labelled
from sipo.feedback.prompts.prompt import COLORS, Prompt, parse_prompt, read_prompts
from sipo.feedback.prompts.questions import read_questions
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import decide
from sipo.pages.ratings import read_answers

ROWS: list[Any] = [
    {"tag": "counting", "include": [{"class": "dog", "count": 2}], "prompt": "two dogs"},
    {
        "tag": "color_attr",
        "include": [
            {"class": "dog", "count": 1, "color": "red"},
            {"class": "bus", "count": 1, "color": "blue"},
        ],
        "exclude": [{"class": "cat", "count": 1}],
        "prompt": "a red dog and a blue bus",
    },
    {
        "tag": "position",
        "include": [
            {"class": "bus", "count": 1},
            {"class": "dog", "count": 1, "position": ["left of", 0]},
        ],
        "prompt": "a dog left of a bus",
    },
    {"prompt": "only text"},
]


@given(data=lines_of(ROWS))
def test_prompt_rows(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_bytes(data)
    for prompt in outcome(lambda: read_prompts(path), "prompts.jsonl") or ():
        assert parse_prompt(prompt.to_json(), "written") == prompt


@given(data=damaged("# a list\na dog\ntwo cats\u2028and a bus\r\n".encode()))
def test_prompt_texts(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "prompts.txt"
    path.write_bytes(data)
    outcome(lambda: read_prompts(path), "prompts.txt")


@st.composite
def prompts(draw: st.DrawFn) -> Prompt | None:
    """Any prompt the parser lets through, with clauses of few classes so that they meet."""
    count = draw(st.integers(1, 4))
    clauses = []
    for number in range(count):
        clause: dict[str, Any] = {
            "class": draw(st.sampled_from(["dog", "bus"])),
            "count": draw(st.sampled_from([1, 1, 2, 3, 20])),
        }
        if draw(st.booleans()):
            clause["color"] = draw(st.sampled_from(COLORS[:2]))
        others = [n for n in range(count) if n != number]
        if others and draw(st.booleans()):
            relation = draw(st.sampled_from(["left of", "above", "right of", "below"]))
            clause["position"] = [relation, draw(st.sampled_from(others))]
        clauses.append(clause)
    exclude = [{"class": "dog", "count": draw(st.integers(1, 5))}] if draw(st.booleans()) else []
    row = {"tag": "position", "include": clauses, "exclude": exclude, "prompt": "p"}
    try:
        return Prompt.model_validate(row)
    except ValueError:
        return None


boxes = st.builds(
    Box,
    class_name=st.sampled_from(["dog", "bus", "cat"]),
    score=st.floats(0, 1),
    xyxy=st.tuples(*[st.integers(0, 40).map(float)] * 2, *[st.integers(41, 80).map(float)] * 2),
    color=st.sampled_from([None, *COLORS[:2]]),
)


@given(prompt=prompts(), found=st.lists(boxes, max_size=8))
def test_the_rule_judges_every_prompt_that_is_parsed(prompt: Prompt | None, found: Any) -> None:
    if prompt is None:
        return
    verdict = decide(prompt, found)
    assert not verdict.failed
    assert verdict.score is not None
    assert 0 <= verdict.score <= 1
    assert verdict.correct == (verdict.score >= 0.9) == (not verdict.reason)


@given(data=lines_of([{"image": "a.png", "prompt": ROWS[0], "correct": True}] * 3))
def test_labelled_images(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").touch()
    path = tmp_path / "labelled.jsonl"
    path.write_bytes(data)
    outcome(lambda: read_labelled(path), "labelled.jsonl", "labelled image")


@given(data=lines_of([{"prompt": "two dogs", "vqa_list": [["How many dogs?", "two"]]}] * 3))
def test_questions(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "questions.jsonl"
    path.write_bytes(data)
    outcome(lambda: read_questions(path), "questions.jsonl")


OURS = {"prompt": "two dogs", "id": "1", "questions": [{"id": "a", "text": "x?", "parents": []}]}
TIIF = dict.fromkeys(("type", "short_description", "long_description"), "two dogs")
TIIF_ASKS = {"yn_question_list": ["Dogs?"], "yn_answer_list": ["yes"]}
DPG = {"proposition_id": 1, "dependency": "0", "category_broad": "entity", "question": "Dogs?"}


@given(
    data=lines_of([OURS] * 3)
    | lines_of([TIIF | TIIF_ASKS] * 3)
    | lines_of([{"item_id": "1", "prompt": "two dogs", "questions": [DPG]}] * 3)
)
def test_rows_of_suites(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    for prompt in outcome(lambda: read_prompts(path), "rows.jsonl") or ():
        assert parse_prompt(prompt.to_json(), "again") == prompt


@given(data=st.data())
@pytest.mark.parametrize("make", [dpg_csv, unigenbench, corebench, oneig])
def test_tables_and_objects_of_suites(
    tmp_path: Path, make: Callable[[Path], Path], data: st.DataObject
) -> None:
    folder = tmp_path / "suite"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    path = make(folder)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    for prompt in outcome(lambda: read_prompts(path), path.name) or ():
        assert parse_prompt(prompt.to_json(), "again") == prompt


@given(data=lines_of([{"pair": "p1", "decision": "keep", "time": "2026-01-01"}] * 3))
def test_answers(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "answers.jsonl"
    path.write_bytes(data)
    outcome(lambda: read_answers(path, "pair"), "answers.jsonl")
