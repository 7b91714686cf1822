"""The page of evaluations: what it says of folders made by hand, and which prompts it shows."""

from __future__ import annotations

import re
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.feedback.prompts import grammar
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict
from sipo.geneval.cli import main
from sipo.geneval.evaluation_folder import write_json
from sipo.geneval.judge_images import Judged as JudgedImage
from sipo.geneval.layout import image_name
from sipo.geneval.looking.chosen_prompts import groups
from sipo.geneval.looking.judged_rows import read_judged
from sipo.geneval.results import write_rows
from sipo.geneval.summary import summarise

PROMPTS = [grammar.single_object(name) for name in ("cat", "dog", "cow")]
PROMPTS += [grammar.colors(name, "red") for name in ("bus", "car")]


def judge(prompt: Prompt, right: bool) -> Verdict:
    name = prompt.classes[0]
    box = Box(name, 0.9, (8.0, 8.0, 24.0, 40.0))
    if right:
        return Verdict(score=1, correct=True, boxes=[box])
    if prompt.tag == "colors":
        wrong = Complaint(name, "colour", "red", ("blue",))
        return Verdict(score=0, correct=False, boxes=[box], complaints=(wrong,), reason=str(wrong))
    missing = Complaint(name, "missing", 1, 0)
    return Verdict(score=0, correct=False, complaints=(missing,), reason=str(missing))


def evaluated(folder: Path, rights: list[int], prompts: list[Prompt] = PROMPTS) -> Path:
    """Two images a prompt, of which so many are right."""
    pairs = [
        (p, index < right) for p, right in zip(prompts, rights, strict=True) for index in (0, 1)
    ]
    names = [image_name(place // 2, place % 2) for place in range(len(pairs))]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (48, 48), "teal").save(folder / name)
    judged = [JudgedImage(judge(*pair), 10.0) for pair in pairs]
    rows, numbers = summarise(names, [prompt for prompt, _ in pairs], judged)
    write_rows(rows, folder / "results.jsonl")
    facts = {
        "prompts": {"count": len(prompts), "sha256": "x"},
        **{"images_per_prompt": 2, "detector": {"id": "a-judge"}, "images_sha256": "y"},
        **{"command": "sipo-geneval", "versions": {}},
    }
    write_json(folder / "summary.json", numbers.to_dict() | facts)
    return folder


def report(*words: object) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["report", *map(str, words)])
    return result.exit_code, result.output


@pytest.fixture
def both(tmp_path: Path) -> tuple[Path, Path]:
    return (
        evaluated(tmp_path / "base/eval", [2, 0, 1, 0, 2]),
        evaluated(tmp_path / "best/eval", [2, 1, 0, 2, 2]),
    )


def test_one_evaluation_has_its_worst_and_best(both: tuple[Path, Path]) -> None:
    code, said = report(both[0])
    assert (code, said) == (0, f"See {both[0]}/report.html\n")
    page = unescape((both[0] / "report.html").read_text())
    assert "Overall is 0.500" in page
    assert "of 10 images of 5 prompts by a-judge" in page
    assert "a photo of a red bus: the bus is blue, red is asked" in page  # an example
    assert re.findall(r"<h2>(Worst|Best) prompts", page) == ["Worst", "Best"]
    assert '"blue bus .90","bad"' in page  # its box
    assert "a photo of a dog, eval, image 1: wrong: no dog is seen" in page


def test_several_are_compared_and_stand_under_one_slider(
    both: tuple[Path, Path], tmp_path: Path
) -> None:
    code, said = report(*both, "--out", tmp_path / "x.html", "--num-prompts", 1)
    assert code == 0, said
    page = unescape((tmp_path / "x.html").read_text())
    assert "From base to best Overall went from 0.500 to 0.750: no clear change" in page
    assert re.findall(r"<h3>(.*?)</h3><p class=\"soft\">(.*?)</p>", page) == [
        ("a photo of a red bus", "colors; 0, 2 of 2 right"),
        ("a photo of a cow", "single object; 1, 0 of 2 right"),
        ("a photo of a dog", "single object; 0, 1 of 2 right"),
    ]
    assert 'data-names="["base", "best"]"' in page
    assert page.count('data-run="0"') == page.count('class="run now" data-run="1"') == 3
    assert not re.findall(r"(?:src|href)=\"(?!data:|#)", page)


def test_ties_are_spread_over_the_tags(tmp_path: Path) -> None:
    judged = read_judged(evaluated(tmp_path / "eval", [0] * 5), "eval")
    [worst] = groups([judged], 4)
    assert [judged.rows[prompt][0].prompt.split()[-1] for prompt in worst.prompts] == [
        *("cat", "bus", "dog", "car"),
    ]


def test_what_can_not_be_shown_is_said(both: tuple[Path, Path], tmp_path: Path) -> None:
    other = evaluated(tmp_path / "other", [1], [grammar.single_object("boat")])
    (both[0] / image_name(0, 0)).unlink()
    assert report(both[0])[0] == 0
    assert "picture is gone" in (both[0] / "report.html").read_text()
    for words, sentence in (
        ((both[0], other), "have no prompt in common; give evaluations of one suite"),
        ((both[0], both[0]), "the same evaluation was given twice"),
        ((tmp_path,), "has no summary.json; run the same sipo-geneval again"),
        ((both[0], "--num-prompts", 0), "--num-prompts 0: Input should be greater"),
    ):
        code, said = report(*words)
        assert (code, sentence in said) == (2, True), said
