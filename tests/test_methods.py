"""The comparison of methods: what it runs next, what it keeps of a run, and the tables of that."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from sipo.feedback.prompts.grammar import single_object
from sipo.feedback.rule.verdict import Verdict

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks" / "methods"))

import compute  # noqa: E402
import curves  # noqa: E402
import run as study  # noqa: E402
import tables  # noqa: E402
from arms import ARMS, COLLAPSE, METHODS, RATES, TABLES_RATE, rated  # noqa: E402
from data import NAMES  # noqa: E402
from flipped_judge import FlippedJudge  # noqa: E402
from PIL import Image  # noqa: E402
from results import AT_THE_END, BASE, SUITES, Job, Results  # noqa: E402

SETTINGS = {"images": 1}
TRAINED = dict.fromkeys(AT_THE_END, 1.0) | {"error_l": 1.0, "ref_error_l": 1.0}


def write_evaluation(folder: Path, right: list[bool]) -> None:
    """Of one prompt an entry of `right`, half of them single objects."""
    folder.mkdir(parents=True)
    tags = ["single_object", "colors"] * (len(right) // 2)
    rows = [
        {
            "filename": f"{place:05d}/samples/00000.png",
            "tag": tag,
            "prompt": f"prompt {place}",
            "correct": correct,
            "reason": "",
            "metadata": json.dumps({"prompt": f"prompt {place}"}),
            "details": "{}",
        }
        for place, (tag, correct) in enumerate(zip(tags, right, strict=True))
    ]
    lines = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "results.jsonl").write_text(lines)
    (folder / "summary.json").write_text(json.dumps({"empty_share": 0.25}))


def write_run(
    folder: Path, right: list[bool], psi_w: float | None, looks: tuple[float, ...] = ()
) -> Path:
    for suite in SUITES:
        write_evaluation(folder / suite, right)
    if psi_w is not None:
        (folder / "train").mkdir()
        ends = [TRAINED | {"step": n, "psi_w": v} for n, v in enumerate((9.0, 9.0, 9.0, psi_w))]
        for row, overall in zip(ends, looks, strict=False):
            row["validation"] = {"overall": overall, "prompts": {}, "empty_share": 0.0}
        (folder / "train" / "log.jsonl").write_text("".join(json.dumps(e) + "\n" for e in ends))
    return folder


BAD, GOOD = [False, True, False, False], [True, True, True, False]


def add(results: Results, name: str, seed: int, right: list[bool], folder: Path) -> None:
    run = write_run(folder / f"{name}-{seed}", right, 0.5)
    results.add(Job(name, seed, ARMS[name]), run, cpu_s=1.0)


@pytest.fixture
def results(tmp_path: Path) -> Results:
    found = Results(tmp_path / "results.json", SETTINGS)
    for seed in (0, 1):
        found.add(Job(BASE, seed, None), write_run(tmp_path / f"base-{seed}", BAD, None), 0.0)
    return found


def test_runs_are_pooled_over_seeds_and_paired_by_prompt(results: Results, tmp_path: Path) -> None:
    for seed in (0, 1):
        add(results, rated("sipo", 1e-3), seed, GOOD, tmp_path)
    again = Results(tmp_path / "results.json", SETTINGS)
    assert again.has(rated("sipo", 1e-3), 1)
    assert not again.has(rated("sipo", 1e-3), 2)
    assert again.pooled(rated("sipo", 1e-3))["colors"] == {"0": (2, 2), "1": (0, 2)}
    first, second = tables.methods(again).splitlines()[2:]
    # sipo: single 2/2, colors 1/2; base: 0/2 and 1/2
    assert first.startswith(
        "| sipo | 0.001 | 2 | 0.750 | 0.750 | +0.500 [+0.500, +0.500] | 1.00 | 0.50 | 25.0% | +0.50"
    )
    assert second.startswith("| base |  | 2 | 0.250 | 0.250 |  | 0.00 | 0.50 | 25.0% |")


def test_other_settings_are_refused(results: Results, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="was made with"):
        Results(tmp_path / "results.json", SETTINGS | {"images": 4})


def test_further_seeds_are_those_of_the_best_rate(results: Results, tmp_path: Path) -> None:
    def second_seed() -> set[str]:
        wanted = [job.name for job in study.jobs_in_order(results, 2) if job.seed == 1]
        return {rated("sft", rate) for rate in RATES} & set(wanted)

    assert not second_seed()
    add(results, rated("sft", RATES[0]), 0, BAD, tmp_path)
    assert not second_seed()
    add(results, rated("sft", RATES[1]), 0, GOOD, tmp_path)
    assert second_seed() == {rated("sft", RATES[1])}


def test_a_collapse_is_told_by_its_looks(results: Results, tmp_path: Path) -> None:
    name = next(iter(COLLAPSE))
    run = write_run(tmp_path / "run", BAD, 0.5, looks=(0.5, 0.7, 0.2))
    results.add(Job(name, 0, ARMS[name]), run, 1.0)
    assert "0.70 at 1, fell to 0.20 by 2" in tables.page(results)


def test_the_area_is_of_the_same_minutes_for_all(results: Results, tmp_path: Path) -> None:
    """A line from .5 to .7 over four minutes, down to .3 after two more, where it stays."""
    points = [(0.0, 0.5), (4.0, 0.7), (6.0, 0.3)]
    assert compute.area(points, 8.0) == pytest.approx((4 * 0.6 + 2 * 0.5 + 2 * 0.3) / 8)
    assert compute.area(points, 5.0) == pytest.approx((4 * 0.6 + 1 * 0.6) / 5)
    add(results, rated("sipo", TABLES_RATE), 0, BAD, tmp_path)  # 200 steps in a second
    name = compute.constant("sipo")
    run = write_run(tmp_path / "run", BAD, 0.5, looks=(0.5, 0.7, 0.2))
    results.add(Job(name, 0, ARMS[name]), run, 1.0)
    assert "| sipo | 1 | 0.01 | 0.700 | 0.200 | 3 |" in tables.page(results)
    curves.write(results, tmp_path / "study.png")
    with Image.open(tmp_path / "study.png") as shown:
        assert shown.size[0] > 500


def test_every_question_is_about_methods_that_are_run() -> None:
    assert {name for pair in tables.CONTRASTS.values() for name in pair} <= {*METHODS, *ARMS}
    used = {name for arm in ARMS.values() for name in (arm.data, arm.start or arm.data)}
    assert used <= {*NAMES}


class Always:
    def describe(self) -> dict[str, object]:
        return {"id": "always"}

    def judge(self, images: list[Image.Image], prompts: object) -> list[Verdict]:
        return [Verdict(score=1.0, correct=True) for _ in images]


def test_a_share_of_the_verdicts_is_turned_round() -> None:
    pictures = [Image.new("RGB", (2, 2), (n % 256, n // 256, 0)) for n in range(1000)]
    judge = FlippedJudge(Always(), 0.2)
    verdicts = judge.judge(pictures, [single_object("cat")] * len(pictures))
    wrong = [verdict.correct for verdict in verdicts].count(False)
    assert 150 < wrong < 250
    assert verdicts == judge.judge(pictures, [single_object("cat")] * len(pictures))


def test_every_kept_comparison_makes_the_page_that_is_shown() -> None:
    """docs/methods.md has the tables of docs/methods/results.json."""
    kept = ROOT / "docs" / "methods" / "results.json"
    found = Results(kept, json.loads(kept.read_text())["settings"])
    assert tables.page(found) in (ROOT / "docs" / "methods.md").read_text()
