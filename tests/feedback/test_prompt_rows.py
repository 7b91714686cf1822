"""Prompts are GenEval's rows, read and written exactly."""

from __future__ import annotations

from pathlib import Path

import pytest
from written_prompts import write_prompts

from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.geneval_prompts import geneval_suite
from sipo.feedback.prompts.prompt import (
    Prompt,
    parse_prompt,
    read_prompts,
    without_meanings,
)
from sipo.feedback.rule.verdict import decide


def test_official_file_round_trips_byte_for_byte(tmp_path: Path) -> None:
    """test_official_suite.py holds the written suite to the published file's hash."""
    official = tmp_path / "evaluation_metadata.jsonl"
    write_prompts(geneval_suite(), official)
    lines = official.read_text(encoding="utf-8").splitlines()
    assert len(lines) == 553
    assert [prompt.to_json() for prompt in read_prompts(official)] == lines
    write_prompts(read_prompts(official), tmp_path / "again.jsonl")
    assert (tmp_path / "again.jsonl").read_bytes() == official.read_bytes()


def test_grammar_writes_the_official_rows() -> None:
    assert grammar.counting("bench", 3).to_row() == {
        "tag": "counting",
        "include": [{"class": "bench", "count": 3}],
        "exclude": [{"class": "bench", "count": 4}],
        "prompt": "a photo of three benchs",
    }
    assert grammar.position("dog", "right of", "apple").to_row() == {
        "tag": "position",
        "include": [
            {"class": "apple", "count": 1},
            {"class": "dog", "count": 1, "position": ["right of", 0]},
        ],
        "prompt": "a photo of a dog right of an apple",
    }


def test_meaning_ignores_order_and_direction() -> None:
    left = grammar.position("dog", "left of", "cat")
    right = grammar.position("cat", "right of", "dog")
    above = grammar.position("dog", "above", "cat")
    assert left.meaning() == right.meaning() != above.meaning()
    swapped = grammar.two_object("dog", "cat"), grammar.two_object("cat", "dog")
    assert list(without_meanings(swapped, [])) == [swapped[0]]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "not JSON"),
        ('{"tag": "counting", "include": [], "prompt": "x"}', "include"),
        ('{"tag": "size", "include": [{"class": "a", "count": 1}], "prompt": "x"}', "tag"),
        (
            '{"tag": "position", "include": [{"class": "a", "count": 1, '
            '"position": ["above", 3]}], "prompt": "x"}',
            "target 3",
        ),
    ],
)
def test_bad_rows_are_named(line: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as error:
        parse_prompt(line, "prompts.jsonl, line 7")
    assert str(error.value).startswith("prompts.jsonl, line 7: ")


def test_prompt_is_a_value() -> None:
    assert grammar.single_object("cat") == Prompt.model_validate(
        {
            "tag": "single_object",
            "include": [{"class": "cat", "count": 1}],
            "prompt": "a photo of a cat",
        }
    )


def test_rows_of_other_benchmarks_are_plain_texts(tmp_path: Path) -> None:
    """A byte order mark and U+2028 break no line."""
    rows = tmp_path / "rows.jsonl"
    text = '{"prompt": "two\u2028dogs", "skills": ["count"]}\n'
    rows.write_text("\ufeff" + text)
    [prompt] = read_prompts(rows)
    assert (prompt.tag, prompt.text) == ("text", "two\u2028dogs")
    rows.write_bytes(b"a caf\xe9")
    with pytest.raises(ValueError, match=r"rows.jsonl' is not UTF-8: .*; save it as UTF-8"):
        read_prompts(rows)


def test_plain_texts_are_prompts_without_clauses(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a cat, oil on canvas\n\n a dog \n")
    cat, dog = read_prompts(tmp_path / "list.txt")
    assert (cat.text, cat.tag, cat.classes) == ("a cat, oil on canvas", "text", ())
    assert parse_prompt(cat.to_json(), "x") == cat
    assert cat.meaning() != dog.meaning()
    verdict = decide(cat, [])
    assert verdict.failure == "the prompt is plain text, without clauses to check"
    for row in (
        '{"tag": "text", "include": [{"class": "cat", "count": 1}], "prompt": "a cat"}',
        '{"tag": "counting", "include": [], "prompt": "a cat"}',
    ):
        with pytest.raises(ValueError, match="include of a prompt of tag"):
            parse_prompt(row, "x")
