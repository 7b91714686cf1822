"""The comparison of methods: what it keeps of a run, and the tables made from that."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "benchmarks" / "methods"))

import tables  # noqa: E402
from arms import ARMS, CONTRASTS, LONGER, TIMES  # noqa: E402
from results import AT_THE_END, BASE, Job, Results  # noqa: E402

SETTINGS = {"steps": 3, "images": 1}
TRAINED = dict.fromkeys(AT_THE_END, 1.0) | {"error_l": 1.0, "ref_error_l": 1.0}


def write_run(folder: Path, right: list[bool], psi_w: float | None) -> Path:
    """An evaluation of one prompt an entry of `right`, half of them single objects."""
    (folder / "eval").mkdir(parents=True)
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
    (folder / "eval" / "results.jsonl").write_text(lines)
    (folder / "eval" / "summary.json").write_text(json.dumps({"empty_share": 0.25}))
    if psi_w is not None:
        (folder / "train").mkdir()
        ends = [TRAINED | {"step": n, "psi_w": v} for n, v in enumerate((9.0, 9.0, 9.0, psi_w))]
        (folder / "train" / "log.jsonl").write_text("".join(json.dumps(e) + "\n" for e in ends))
    return folder


def test_runs_are_pooled_over_seeds_and_paired_by_prompt(tmp_path: Path) -> None:
    results = Results(tmp_path / "results.json", SETTINGS)
    bad, good = [False, True, False, False], [True, True, True, False]
    for seed, psi_w in ((0, 0.5), (1, 1.5)):
        base = write_run(tmp_path / f"base-{seed}", bad, None)
        results.add(Job(BASE, seed, None, 0), base)
        sipo = write_run(tmp_path / f"sipo-{seed}", good, psi_w)
        results.add(Job("sipo", seed, "--objective sipo", 3), sipo)
    again = Results(tmp_path / "results.json", SETTINGS)
    assert again.has(Job("sipo", 1, None, 3))
    assert not again.has(Job("sipo", 2, None, 3))
    assert again.pooled("sipo")["colors"] == {"0": (2, 2), "1": (0, 2)}
    first, second = (
        row for row in tables.page(again).splitlines() if row[:7] in ("| sipo ", "| base ")
    )
    # sipo: single 2/2, colors 1/2; base: 0/2 and 1/2
    assert first.startswith(
        "| sipo | 0.750 | +0.500 [+0.500, +0.500] | 1.00 | 0.50 | 25.0% | +1.00"
    )
    assert second.startswith("| base | 0.250 |  | 0.00 | 0.50 | 25.0% |")


def test_other_settings_are_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "base", [True, False], None)
    Results(tmp_path / "results.json", SETTINGS).add(Job(BASE, 0, None, 0), run)
    with pytest.raises(ValueError, match="was made with"):
        Results(tmp_path / "results.json", SETTINGS | {"steps": 4})


def test_every_question_is_about_arms_that_are_run() -> None:
    known = {*ARMS, *(f"{arm}, {TIMES} x" for arm in LONGER)}
    assert {arm for pair in CONTRASTS.values() for arm in pair} <= known


def test_every_kept_comparison_makes_the_page_that_is_shown() -> None:
    """docs/methods.md has the tables of docs/methods/results.json."""
    kept = ROOT / "docs" / "methods" / "results.json"
    results = Results(kept, json.loads(kept.read_text())["settings"])
    assert tables.page(results) in (ROOT / "docs" / "methods.md").read_text()
