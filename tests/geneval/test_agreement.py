"""Two judges on the same images."""

import json
from html import unescape
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.feedback.prompts import grammar
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.verdict import Verdict, decide
from sipo.geneval.cli import main
from sipo.geneval.comparison.agreement import agreement
from sipo.geneval.looking.agreement_page import write_agreement
from sipo.geneval.results import to_row, write_rows


def _judged(folder: Path, says: list[bool], count: int = 4) -> Path:
    folder.mkdir()
    prompt = grammar.single_object("cat")
    rows = []
    for number, correct in enumerate(says[:count]):
        reason = "" if correct else "expected cat>=1, found 0 <none>"
        verdict = Verdict(score=float(correct), correct=correct, reason=reason)
        rows.append(to_row(f"{number}.png", prompt, verdict))
        Image.new("RGB", (8, 8)).save(folder / f"{number}.png")
    write_rows(rows, folder / "results.jsonl")
    return folder


def test_agreement_by_hand(tmp_path: Path) -> None:
    """A: 3 of 4 right, B: 2 of 4, agreeing on 3. By chance 3/4 * 1/2 + 1/4 * 1/2 = 1/2, so
    kappa = (3/4 - 1/2) / (1 - 1/2) = 1/2."""
    a = _judged(tmp_path / "a", [True, True, True, False])
    b = _judged(tmp_path / "b", [True, True, False, False])
    result = agreement(a, b)
    expected = {"images": 4, "agree": 0.75, "kappa": 0.5, "only_a": 1, "only_b": 0}
    assert result.overall.to_dict() == result.tags["single_object"].to_dict() == expected
    [row] = result.disagreements
    assert (row.filename, row.a) == ("2.png", "correct")
    page = tmp_path / "page.html"
    printed = CliRunner().invoke(main, ["agree", str(a), str(b), "--page", str(page)])
    assert printed.exit_code == 0, printed.output
    assert "0.750   0.500" in printed.output
    assert "found 0 &lt;none&gt;" in page.read_text()


def _seen(folder: Path, judge: str, color: str, count: int = 1) -> None:
    """Images of a red bus that `judge` sees in `color`, in the middle of each image."""
    folder.mkdir()
    prompt, rows = grammar.colors("bus", "red"), []
    for number in range(count):
        box = Box("bus", 0.8, (10, 10, 30, 20), color)
        verdict = decide(prompt, [box, Box("cat", 0.7, (0, 0, 5, 5))])
        rows.append(to_row(f"{number}.png", prompt, verdict))
        Image.new("RGB", (40, 40)).save(folder / f"{number}.png")
    write_rows(rows, folder / "results.jsonl")
    (folder / "config.json").write_text(json.dumps({"judge": judge}))


def test_the_page_names_judges_and_draws_what_they_argue_about(tmp_path: Path) -> None:
    _seen(tmp_path / "a", "owlv2", "red", 3)
    _seen(tmp_path / "b", "yolo-world", "unknown", 3)
    page = tmp_path / "page.html"
    asked = ["agree", str(tmp_path / "a"), str(tmp_path / "b"), "--page", str(page), "--most", "2"]
    printed = CliRunner().invoke(main, asked)
    assert printed.exit_code == 0, printed.output
    assert printed.output.startswith("A: owlv2\nB: yolo-world\n")
    said = unescape(page.read_text())
    assert "<h1>owlv2 and yolo-world</h1>" in said
    assert '<h2 id="colors">colors</h2>' in said
    assert "2 of 3, of every tag as many" in said
    assert said.count("a photo of <mark>a red bus</mark>") == 2
    assert said.count('data-boxes="[[25.0,25.0,50.0,25.0,"red bus .80","good"]]"') == 2
    assert said.count('data-boxes="[[25.0,25.0,50.0,25.0,"unknown bus .80","bad"]]"') == 2
    crop = 'width="26" height="14" loading="lazy" decoding="async" alt="the bus whose colour yolo'
    assert said.count(crop) == 2
    assert said.count("the bus is of no colour that is known, red is asked</li>") == 2


def test_a_page_without_its_images_and_of_one_judge(tmp_path: Path) -> None:
    for name, color in (("a", "red"), ("b", "blue")):
        _seen(tmp_path / name, "owlv2", color)
        (tmp_path / name / "0.png").unlink()
    result = agreement(tmp_path / "a", tmp_path / "b")
    assert result.judge_b == f"owlv2 on {tmp_path / 'b'}"
    page = tmp_path / "page.html"
    assert write_agreement(result, tmp_path / "a", tmp_path / "b", None, page, 9) == 1
    assert page.read_text().count("the image is no longer there") == 2


def test_different_images_are_refused(tmp_path: Path) -> None:
    a = _judged(tmp_path / "a", [True] * 4)
    b = _judged(tmp_path / "b", [True] * 4, count=3)
    with pytest.raises(ValueError, match=r"did not judge the same images \(3.png"):
        agreement(a, b)
    with pytest.raises(ValueError, match=r"has no results\.jsonl"):
        agreement(a, tmp_path)


def test_what_faster_sampling_costs(tmp_path: Path) -> None:
    """The same prompts and seeds, sampled otherwise: 1 of 4 verdicts is another."""
    a = _judged(tmp_path / "a", [True, True, True, False])
    b = _judged(tmp_path / "b", [True, True, False, False])
    plain = {"seeds": {"seed": 0}, "sampler": {"steps": 20, "guidance": 3.0}}
    fast = plain | {"sampler": {"steps": 20, "guidance": 3.0, "cache": "first-block=0.08"}}
    for folder, config in ((a, plain), (b, fast | {"dtype": "bfloat16"})):
        (folder / "config.json").write_text(json.dumps(config))
    cost = agreement(a, b).cost
    assert cost is not None
    assert cost.to_dict()["settings"] == {
        "cache": {"a": None, "b": "first-block=0.08"},
        "dtype": {"a": "float32", "b": "bfloat16"},
    }
    assert (cost.changed.value, cost.changed.interval) == (0.25, None)  # of one prompt
    printed = CliRunner().invoke(main, ["agree", str(a), str(b)]).output
    assert (
        "B was sampled otherwise (cache: None to first-block=0.08, dtype: float32 to bfloat16): "
        "1 of 4 verdicts changed, 0.250 none, and -1 images are correct"
    ) in printed
    assert "cost" not in agreement(a, a).to_dict()
    (b / "config.json").write_text(json.dumps(fast | {"detector": {"id": "another"}}))
    assert "cost" not in agreement(a, b).to_dict()
    (b / "config.json").write_text(json.dumps(fast | {"seeds": {"seed": 1}}))
    with pytest.raises(ValueError, match=r"differ in seeds.seed as well as in cache, so no "):
        agreement(a, b)
