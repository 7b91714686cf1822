"""Metrics of runs, and comparison of runs by metrics and by people."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from sipo.feedback.prompts.prompt import Prompt, plain_text
from sipo.feedback.rule.verdict import Verdict, failed_verdict
from sipo.geneval.cli import main
from sipo.geneval.comparison.metric_scores import compare_metric, paired, raw_score, score_runs
from sipo.geneval.evaluation_folder import write_json
from sipo.geneval.layout import image_name, save_image, write_prompt_folders
from sipo.pages.ratings import append_answer


class Redness:
    """The raw score is the red of the first pixel; black cannot be scored."""

    def __init__(self, unit: float = 1.0) -> None:
        self.unit = unit
        self.looked_at = 0

    def describe(self) -> dict[str, object]:
        return {"id": "redness", "unit": self.unit}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        self.looked_at += len(images)
        return [self._one(image.getpixel((0, 0))[0]) for image in images]  # type: ignore[index]

    def _one(self, red: float) -> Verdict:
        if red == 0:
            return failed_verdict("too dark", self.describe())
        raw = red * self.unit
        return Verdict(score=red / 255, correct=True, reason="", evidence={"raw": raw})


def run(root: Path, reds: list[list[int]]) -> Path:
    write_prompt_folders(root, [plain_text(f"prompt {n}") for n in range(len(reds))])
    for number, row in enumerate(reds):
        for index, red in enumerate(row):
            save_image(Image.new("RGB", (4, 4), (red, 0, 0)), root / image_name(number, index))
    return root


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    monkeypatch.chdir(tmp_path)
    return [
        run(Path("a"), [[10, 20], [30, 40], [50, 50]]),
        run(Path("b"), [[20, 20], [40, 50], [60, 0]]),
    ]


def test_a_table_by_hand(runs: list[Path]) -> None:
    """Of the five images that both have, b is above in four and equal in one."""
    result = score_runs(runs, "fake", judge=Redness())
    assert result.runs["a"].mean.value == pytest.approx(200 / 6)
    other = result.runs["b"]
    assert (other.mean.value, other.images, other.failures) == (38, 5, 1)
    assert result.wins == {"a": {"b": pytest.approx(0.1)}, "b": {"a": pytest.approx(0.9)}}


def test_the_paired_difference(runs: list[Path]) -> None:
    score_runs(runs, "fake", judge=Redness())
    found = compare_metric(*runs, "fake")
    assert (found.a, found.b) == (30, 38)
    assert found.difference.value == 8
    assert (found.pairs, found.dropped) == (5, 1)
    assert found.difference.interval == (5, 10)  # prompts gain 5, 10, 10
    assert (found.win_rate.value, found.win_rate.interval) == (0.9, (0.75, 1.0))
    back = compare_metric(*runs[::-1], "fake")
    assert back.difference.interval == (-10, -5)


def test_what_was_scored_is_not_scored_again(runs: list[Path]) -> None:
    judge = Redness()
    first = score_runs(runs, "fake", judge=judge)
    assert judge.looked_at == 12
    assert score_runs(runs, "fake", judge=judge) == first
    assert judge.looked_at == 12
    save_image(Image.new("RGB", (4, 4), (90, 0, 0)), runs[0] / image_name(0, 0))
    score_runs(runs, "fake", judge=judge)
    assert judge.looked_at == 18
    score_runs(runs[:1], "fake", judge=Redness(unit=2.0))
    with pytest.raises(ValueError, match="scored by different weights or settings of 'fake'"):
        compare_metric(*runs, "fake")


def test_the_commands(runs: list[Path]) -> None:
    words = [*map(str, runs), "--metric", "fake"]
    early = CliRunner().invoke(main, ["compare", *words])
    assert early.exit_code == 2
    assert "'a' has no scores of 'fake'; run sipo-geneval metrics a --metric fake" in early.output
    table = CliRunner().invoke(main, ["metrics", *words])
    assert table.exit_code == 0, table.output
    assert "wins over" in table.output
    as_json = CliRunner().invoke(main, ["metrics", *words, "--json"])
    assert json.loads(as_json.stdout)["runs"]["a"]["images"] == 6
    compared = CliRunner().invoke(main, ["compare", *words])
    assert "B wins" in compared.output
    assert json.loads(CliRunner().invoke(main, ["compare", *words, "--json"]).output)["pairs"] == 6
    for more, sentence in (
        (["metrics", "a", "--metric", "nobody"], "--metric 'nobody' is unknown"),
        (["metrics", "a", "a", "--metric", "fake"], "given twice"),
        (["compare", "a", "b", "--metric", "fake", "--ranks", "x"], "were both given"),
    ):
        refused = CliRunner().invoke(main, more)
        assert refused.exit_code == 2
        assert sentence in refused.output


def test_several_metrics_are_a_table(runs: list[Path], tmp_path: Path) -> None:
    (tmp_path / "own.json").write_text('{"megapixels": {}}')
    words = ["metrics", *map(str, runs), "--metric", "fake"]
    table = CliRunner().invoke(main, [*words, "--metric", "fake"]).stdout
    assert table.count("wins over") == 2
    assert [line.split()[0] for line in table.splitlines()[-3:]] == ["mean", "a", "b"]
    as_json = CliRunner().invoke(main, [*words, "--metric", "fake", "--json"])
    assert [result["metric"] for result in json.loads(as_json.stdout)] == ["fake", "fake"]
    for more, sentence in (
        (["--metric", "fake", "--metric-weights", "x"], "write --metric fake=x"),
        (["--metric-settings", str(tmp_path / "own.json")], "'megapixels', which is no judge"),
    ):
        refused = CliRunner().invoke(main, [*words, *more])
        assert refused.exit_code == 2
        assert sentence in refused.output


def test_a_judge_that_fails_on_all_is_an_error(tmp_path: Path) -> None:
    dark = run(tmp_path / "dark", [[0]])
    with pytest.raises(ValueError, match=r"fake failed on every image of .*: too dark"):
        score_runs([dark], "fake", judge=Redness())


def test_no_common_image() -> None:
    with pytest.raises(ValueError, match="no scored image in common"):
        paired({"x": 1.0}, {"y": 1.0})


def test_raw_scores_of_images_and_clips() -> None:
    def says(**evidence: object) -> Verdict:
        return Verdict(score=0.5, correct=True, reason="", evidence=evidence)

    assert raw_score(says(raw=21.5)) == 21.5
    assert raw_score(says()) == 0.5
    frames = {"0": {"score": 0.1, "evidence": {"raw": 20.0}}, "4": {"score": 0.2}}
    assert raw_score(says(frames=frames)) == 10.1


def test_compare_by_people(tmp_path: Path) -> None:
    """b above a on three of four prompts; mean ranks (1.75, 1.25)."""
    study = tmp_path / "study"
    study.mkdir()
    write_json(study / "config.json", {"runs": {"a": "", "b": ""}})
    for number in range(4):
        order = ["a", "b"] if number == 0 else ["b", "a"]
        append_answer(
            study / "answers/ann.jsonl",
            {"item": f"{number}", "prompt": f"p{number}", "order": order},
        )
    words = ["compare", "a", "b", "--ranks", str(study)]
    found = json.loads(CliRunner().invoke(main, [*words, "--json"]).output)
    assert (found["a"], found["b"]) == (1.75, 1.25)
    assert found["difference"] == {"value": -0.5, "interval": [-1.0, 0.5]}
    assert found["win_rate"] == {"value": 0.75, "interval": [0.25, 1.0]}
    assert (
        "B wins                                   0.750" in CliRunner().invoke(main, words).output
    )
    refused = CliRunner().invoke(main, ["compare", "a", "c", "--ranks", str(study)])
    assert "does not rank 'c'; choose of a, b" in refused.output
