"""The files of suites that ask: what is read of each, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import suite_samples as samples

from sipo.feedback.prompts.prompt import Prompt, prompt_of, read_prompts
from sipo.feedback.prompts.questions import read_questions


def asked(prompt: Prompt) -> list[tuple[str, str, str, tuple[str, ...], str | None]]:
    return [(q.id, q.text, q.answer, q.parents, q.category) for q in prompt.questions]


def named(prompt: Prompt) -> tuple[str | None, ...]:
    return prompt.suite, prompt.id, prompt.group, prompt.rule


@pytest.mark.parametrize(
    ("make", "prompts", "questions"),
    [
        (samples.geneval2, 2, 4),
        (samples.dpg_csv, 2, 6),
        (samples.dpg_rows, 2, 6),
        (samples.tiif, 2, 4),
        (samples.unigenbench, 2, 4),
        (samples.oneig, 2, 5),
        (samples.corebench, 2, 3),
        (samples.geneval_plus, 2, 0),
    ],
)
def test_every_suite_in_our_form_byte_for_byte(
    tmp_path: Path, make: Callable[[Path], Path], prompts: int, questions: int
) -> None:
    read = read_prompts(make(tmp_path))
    assert (len(read), sum(len(p.questions) for p in read)) == (prompts, questions)
    ours = "".join(prompt.to_json() + "\n" for prompt in read)
    (tmp_path / "ours.jsonl").write_text(ours)
    again = read_prompts(tmp_path / "ours.jsonl")
    assert again == read
    assert "".join(prompt.to_json() + "\n" for prompt in again) == ours


def test_geneval_2(tmp_path: Path) -> None:
    cats, yak = read_prompts(samples.geneval2(tmp_path))
    assert named(cats) == ("geneval2", "1", "3 atoms", "geometric")
    assert asked(cats)[1] == ("2", "How many cats?", "two", (), "count")
    assert asked(yak) == [("1", "A yak?", "yes", (), None)]


@pytest.mark.parametrize("make", [samples.dpg_csv, samples.dpg_rows])
def test_dpg(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    dogs, rain = read_prompts(make(tmp_path))
    assert named(dogs) == ("dpg", "dogs_1", None, "dependent")
    assert [(one[0], one[3], one[4]) for one in asked(dogs)] == [
        ("1", (), "entity"),
        ("2", ("1",), "attribute"),
        ("3", (), "entity"),
        ("4", ("2", "3"), "relation"),
    ]
    assert rain.text == "Rain, at night"
    file = samples.dpg_csv(tmp_path).rename(tmp_path / "dsg-1k-anns.csv")
    assert {prompt.suite for prompt in read_prompts(file)} == {"dsg"}


def test_tiif_is_two_prompts_a_row(tmp_path: Path) -> None:
    short, long = read_prompts(samples.tiif(tmp_path))
    assert named(short) == ("tiif", "2d_spatial_relation-1-short", "short", "arithmetic")
    assert (long.group, long.text) == ("long", samples.TIIF_ROW["long_description"])
    assert short.questions == long.questions
    assert asked(short)[1][1:] == (
        *("Is the cup right of the plate?", "no", (), "2d_spatial_relation"),
    )
    bare = {k: v for k, v in samples.TIIF_ROW.items() if not k.startswith("yn")}
    plain = read_prompts(samples.write_lines(tmp_path / "x_prompts.jsonl", [bare]))
    assert [(p.group, p.questions) for p in plain] == [("short", ()), ("long", ())]
    mixed = samples.write_lines(tmp_path / "mixed.jsonl", [samples.TIIF_ROW, bare])
    with pytest.raises(ValueError, match=r"mixed.jsonl, line 2: yn_question_list .* is missing"):
        read_prompts(mixed)


def test_unigenbench_asks_about_every_test_point(tmp_path: Path) -> None:
    fox, _ = read_prompts(samples.unigenbench(tmp_path))
    assert named(fox) == ("unigenbench", "0", None, "arithmetic")
    text = 'The image was made for "a red fox, woodcut". Does it meet this demand (Style)? '
    assert asked(fox)[0] == ("1", f"{text}It is a woodcut.", "yes", (), "Style")
    with pytest.raises(ValueError, match=r"line 2: lists that belong together differ \(1 in Test"):
        read_prompts(samples.unigenbench(tmp_path, ["Style"]))


def test_oneig_joins_its_two_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    things, man = read_prompts(samples.oneig(tmp_path))
    assert named(things) == ("oneig", "object-000", "object", "dependent")
    assert [one[3] for one in asked(things)] == [(), (), ("1", "2")]
    assert (man.id, man.text) == ("human-000", "a man who reads")
    assert "are left out: text_rendering (1)" in caplog.text
    [alone] = read_prompts(tmp_path / "scripts/alignment/Q_D/human.json")
    assert alone == man


def test_oneig_without_one_of_its_files(tmp_path: Path) -> None:
    table = samples.oneig(tmp_path / "whole")
    lone = tmp_path / "OneIG-Bench.csv"
    lone.write_bytes(table.read_bytes())
    with pytest.raises(ValueError, match="prompts without questions; put its folder scripts/"):
        read_prompts(lone)
    away = tmp_path / "away" / "human.json"
    away.parent.mkdir()
    away.write_bytes((table.parent / "scripts/alignment/Q_D/human.json").read_bytes())
    lone.unlink()
    with pytest.raises(ValueError, match="questions without its prompts; put it into Q_D beside"):
        read_prompts(away)
    samples.write_table(table, ["category", "id", "prompt_en"], [["Portrait", "001", "a man"]])
    with pytest.raises(ValueError, match=r"line 2: .*human.json' has no questions of id '001'"):
        read_prompts(table)
    head = ["category", "id", "prompt_en", "prompt_zh"]
    samples.write_table(table, head, [["Portrait", "000", "a man", "x"]])
    with pytest.raises(ValueError, match="prompts in prompt_en and prompt_zh; keep the column"):
        read_prompts(table)


def test_corebench(tmp_path: Path) -> None:
    desk, shelf = read_prompts(samples.corebench(tmp_path))
    assert named(desk) == ("corebench", "C-MI-001", "C-MI", "arithmetic")
    assert [one[1] for one in asked(desk)] == ["Is there a desk?", "And a lamp?"]
    assert asked(shelf)[0][4] == "instance"
    odd = {"001": {"Prompt": "x", "Checklist": [{"question": "a?", "answer": "no"}]}}
    (tmp_path / "C-MA.json").write_text(json.dumps(odd))
    with pytest.raises(ValueError, match=r"C-MA.json, '001': entry 1 .* has 'answer', which is no"):
        read_prompts(tmp_path / "C-MA.json")


def test_geneval_plus_for_the_detector(tmp_path: Path) -> None:
    both, cat = read_prompts(samples.geneval_plus(tmp_path))
    assert (both.tag, both.group, both.include[0].count) == ("counting", "color/count", 2)
    assert (cat.tag, cat.group, cat.id) == ("colors", "color", "2")
    read_prompts(samples.geneval_plus(tmp_path, size=None, region=""))
    with pytest.raises(ValueError, match=r"line 2: asks for a region or a size, as 1 of the 2"):
        read_prompts(samples.geneval_plus(tmp_path, size="large"))


CATS = {"prompt": "two cats", "questions": [{"id": "a", "text": "Cats?"}]}


def test_our_own_rows(tmp_path: Path) -> None:
    rows = [CATS | {"id": "1", "group": "pets"}, {"prompt": "rain"}]
    first, rain = read_prompts(samples.write_lines(tmp_path / "own.jsonl", rows))
    assert (first.tag, first.group, asked(first)) == (
        *("text", "pets"),
        [("a", "Cats?", "yes", (), None)],
    )
    assert rain.questions == ()
    with pytest.raises(ValueError, match=r"own.jsonl' .* has no questions for 'rain'"):
        read_questions(tmp_path / "own.jsonl")


@pytest.mark.parametrize(
    ("questions", "more", "says"),
    [
        ([], {}, "questions is empty; ask one"),
        ([{"id": "a", "text": " "}], {}, r"questions.0.text: is blank"),
        ([{"id": "a"}], {}, r"questions.0.text: Field required"),
        ([{"id": "a", "text": "x?", "parents": ["b"]}], {}, "'a' has the parent 'b', which is no"),
        ([{"id": "a", "text": "x?"}] * 2, {}, "question 'a' is there twice"),
        ([{"id": "a", "text": "x?", "parents": ["a"]}], {}, r"in a circle \('a' of 'a'\)"),
        (
            [{"id": one, "text": "x?", "parents": [on]} for one, on in ("ab", "bc", "ca")],
            {},
            "are parents of each other in a circle",
        ),
        ([{"id": "a", "text": "x?", "weight": 2}], {}, r"questions.0.weight: Extra inputs"),
        ([{"id": "a", "text": "x?"}], {"rules": "x"}, "rules: Extra inputs"),
        ([{"id": "a", "text": "x?"}], {"rule": "mode"}, "rule: Input should be 'arithmetic'"),
        ([{"id": 1, "text": "x?"}], {}, r"questions.0.id: Input should be a valid string"),
    ],
)
def test_what_is_no_row_of_questions(
    tmp_path: Path, questions: list[Any], more: dict[str, Any], says: str
) -> None:
    row = {"prompt": "x", "questions": questions} | more
    path = samples.write_lines(tmp_path / "own.jsonl", [CATS, row])
    with pytest.raises(ValueError, match=f"own.jsonl, line 2: .*{says}"):
        read_prompts(path)


def test_one_id_is_one_prompt(tmp_path: Path) -> None:
    rows = [CATS | {"id": "1"}, CATS | {"id": "1", "prompt": "three cats"}]
    with pytest.raises(ValueError, match="line 2: a second prompt of id '1'"):
        read_prompts(samples.write_lines(tmp_path / "own.jsonl", rows))
    same = samples.write_lines(tmp_path / "own.jsonl", [CATS | {"id": "1"}] * 2)
    assert len(read_prompts(same)) == 2  # as a merged folder repeats its prompts


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({3: "9"}, r"'4' has the parent '9', which is none of them"),
        ({2: "1"}, "line 5: proposition_id 1 of item_id 'dogs_1' is there twice"),
        ({3: "two"}, "line 5: dependency 'two' has 'two', which is no number"),
        ({1: "Other"}, "line 5: item_id 'dogs_1' has another text than in .*line 2"),
        ({5: ""}, "line 5: question_natural_language of a row of DPG-Bench or DSG-1k is"),
        ({3: "4"}, "in a circle"),
        ({2: "0"}, "line 5: a question is number 0, which as a parent is none; count from 1"),
    ],
)
def test_damaged_dpg(tmp_path: Path, change: dict[int, str], says: str) -> None:
    rows = [list(row) for row in samples.DPG]
    for column, value in change.items():
        rows[3][column] = value
    with pytest.raises(ValueError, match=f"dpg_bench.csv.*{says}"):
        read_prompts(samples.dpg_csv(tmp_path, rows))


def test_rows_of_an_item_that_are_apart(tmp_path: Path) -> None:
    apart = [*samples.DPG[:2], *samples.DPG[4:], *samples.DPG[2:4]]
    with pytest.raises(ValueError, match="line 6: item_id 'dogs_1' was there before; keep"):
        read_prompts(samples.dpg_csv(tmp_path, apart))


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ({"prompt": "x", "vqa_list": []}, "vqa_list of a row of GenEval 2 is"),
        ({"prompt": "x", "vqa_list": [["a"]]}, r"vqa_list has .*; give \[question, answer\]"),
        ({"prompt": "x", "vqa_list": [["a", True]]}, "answer of a row of GenEval 2 is 'True'"),
        ({"prompt": "x"}, "vqa_list of a row of GenEval 2 is missing"),
        ("x", "no row of GenEval 2, as others of the file are"),
    ],
)
def test_damaged_geneval_2(tmp_path: Path, row: Any, says: str) -> None:
    good = {"prompt": "y", "vqa_list": [["How many?", 2]]}
    path = samples.write_lines(tmp_path / "rows.jsonl", [good, row])
    with pytest.raises(ValueError, match=f"rows.jsonl, line 2: {says}"):
        read_prompts(path)


def test_clauses_and_questions_together() -> None:
    """A detector goes by the clauses, a judge that asks by the questions."""
    row = {"tag": "counting", "include": [{"class": "cat", "count": 2}], **CATS}
    prompt = prompt_of(row, "row")
    assert (prompt.classes, prompt.questions[0].text) == (("cat",), "Cats?")
