"""`compare` on folders written by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sipo.geneval.comparison.paired import compare
from sipo.geneval.tables import comparison_table

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def one(
        name: str, correct: dict[str, list[bool]], sharp: float | None = None, **changes: Any
    ) -> Path:
        """`correct`: per prompt, whether each image is; all of tag counting. `sharp`: the first
        prompt's images, each further prompt's are 1 sharper.
        """
        folder = tmp_path / name
        folder.mkdir()
        rows = [
            {
                "filename": f"{number:05d}/samples/{index:04d}.png",
                "tag": "counting",
                "prompt": prompt,
                "correct": value,
                "reason": "",
                "metadata": prompt,
                "details": "{}",
            }
            | ({} if sharp is None else {"sharpness": sharp + number})
            for number, (prompt, values) in enumerate(correct.items())
            for index, value in enumerate(values)
        ]
        (folder / "results.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        summary = {
            "detector": {"id": "fake"},
            "images_per_prompt": 2,
            "prompts": {"count": 1, "sha256": "same"},
            "seeds": {"seed": 0, "rule": ""},
        }
        (folder / "summary.json").write_text(json.dumps(summary | changes))
        return folder

    return one


def test_the_paired_difference(write: Write) -> None:
    a = write("a", {f"p{i}": [False, i > 3] for i in range(8)})
    b = write("b", {f"p{i}": [True, i > 3] for i in range(8)})
    result = compare(a, b)
    expected = {"a": 0.25, "b": 0.75, "difference": 0.5, "interval": [0.5, 0.5], "clear": True}
    said = {"overall": expected, "tags": {"counting": expected}, "prompts_dropped": 0}
    assert result.to_dict() == json.loads(result.to_json()) == said
    table = comparison_table(result, "base", "tuned")
    assert "counting           0.250   0.750   +0.500    [+0.500, +0.500] *" in table.splitlines()


def test_the_difference_of_sharpness(write: Write) -> None:
    """Of eight prompts that all lose 30; older folders, and one side alone, do not say it."""
    correct = {f"p{i}": [True, False] for i in range(8)}
    a, b, old = write("a", correct, 100.0), write("b", correct, 70.0), write("old", correct)
    found = compare(a, b).sharpness
    assert found is not None
    assert (found.a, found.b, found.difference, found.clear) == (103.5, 73.5, -30, True)
    assert found.interval == pytest.approx((-30, -30))
    lines = comparison_table(compare(a, b), "base", "tuned").splitlines()
    assert "sharpness          103.5    73.5    -30.0      [-30.0, -30.0] *" in lines
    assert compare(a, old).sharpness is None
    assert "sharpness" not in compare(old, old).to_dict()


def test_sharpness_is_of_prompts_that_both_could_judge(write: Write) -> None:
    a = write("a", {"p": [True, True], "q": [False, False]}, 10.0)
    found = compare(a, write("b", {"p": [True, True]}, 20.0)).sharpness
    assert found is not None
    assert (found.a, found.b, found.interval) == (10, 20, None)


def test_a_prompt_that_one_side_could_not_judge_is_left_out_of_both(write: Write) -> None:
    a = write("a", {"p": [True, True], "q": [False, False]})
    b = write("b", {"p": [True, True]})
    result = compare(a, b)
    assert result.overall.a == result.overall.b == 1
    assert result.prompts_dropped == 1


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"prompts": {"count": 1, "sha256": "other"}}, r"differ in prompts\.sha256 .*--suite"),
        ({"detector": {"id": "other"}}, "differ in detector .*--images DIR --judge"),
        ({"seeds": {"seed": 1, "rule": ""}}, r"differ in seeds\.seed .*--seed"),
        ({"images_per_prompt": 4}, "differ in images_per_prompt"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    write: Write, change: dict[str, Any], sentence: str
) -> None:
    a, b = write("a", {"p": [True, True]}), write("b", {"p": [True, True]}, **change)
    with pytest.raises(ValueError, match=sentence):
        compare(a, b)


def test_images_made_elsewhere_have_no_seed(write: Write) -> None:
    a, b = write("a", {"p": [True, True]}), write("b", {"p": [True, True]}, seeds=None)
    assert compare(a, b).overall.difference == 0


def test_a_folder_without_summary_is_refused(write: Write, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"has no summary\.json; run sipo-geneval there first"):
        compare(write("a", {"p": [True]}), tmp_path)


def test_one_prompt_has_no_interval_and_no_star(write: Write) -> None:
    """Two images of one prompt are one draw, however alike they changed."""
    result = compare(write("a", {"p": [False, False]}), write("b", {"p": [True, True]}))
    assert result.overall.to_dict() == {
        "a": 0.0,
        "b": 1.0,
        "difference": 1.0,
        "interval": None,
        "no_interval": "counting: one prompt, which says nothing of others",
        "clear": False,
    }
    lines = comparison_table(result, "base", "tuned").splitlines()
    assert "counting           0.000   1.000   +1.000                none" in lines
    assert "No interval where it says none: one prompt, which says nothing of others." in lines


def test_five_prompts_earn_no_star(write: Write) -> None:
    five = {f"p{i}": [False] for i in range(5)}
    better = {p: [True] for p in five}
    result = compare(write("a", five), write("b", better))
    assert result.overall.interval == (1.0, 1.0)
    assert not result.overall.clear
    six = compare(write("c", five | {"q": [False]}), write("d", better | {"q": [True]}))
    assert six.overall.clear


def test_folders_without_a_word_of_the_judge_are_refused(write: Write, tmp_path: Path) -> None:
    a, b = write("a", {"p": [True]}), write("b", {"p": [True]})
    for folder in (a, b):
        (folder / "summary.json").write_text("{}")
    with pytest.raises(ValueError, match=r"summary\.json' does not say 'prompts'; remove it"):
        compare(a, b)
