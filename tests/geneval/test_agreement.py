"""Two judges on the same images."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.feedback.prompts import grammar
from sipo.feedback.rule.verdict import Verdict
from sipo.geneval.cli import main
from sipo.geneval.comparison.agreement import agreement
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
