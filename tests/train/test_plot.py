"""A training's page: what is drawn of a log made by hand, and that its words are its figures'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sipo.pages.chart_kinds import Cells, Chart, Line, Picture
from sipo.train.monitor import plot
from sipo.train.monitor.curve_panels import over_time, over_timesteps

ROW = {
    **{"psi_w": 0.2, "psi_l": -0.4, "margin": 0.6, "implicit_acc": 0.75, "gradient_factor": 0.4},
    **{"error_w": 0.2, "error_l": 0.22, "ref_error_w": 0.2, "ref_error_l": 0.2, "abs_z": 1.0},
    **{"w": 0.99, "keep": 0.9, "grad_norm": 0.5},
    "w_by_t": [0.8, None, *[1.0] * 8],
    "keep_by_t": [0.5, None, *[1.0] * 8],
    "psi_w_by_t": [0.1, None, *[0.2] * 8],
    "psi_l_by_t": [-0.1, None, *[-0.4] * 8],
}


def log(*halves: dict[str, Any]) -> list[Any]:
    """25 steps of each, eight pairs a step."""
    rows = [ROW | half for half in halves for _ in range(25)]
    return [row | {"step": step, "pairs_seen": 8 * step} for step, row in enumerate(rows, 1)]


@pytest.fixture
def page(tmp_path: Path, undrawn: list[Picture]) -> Any:
    """The page of runs by name, and the charts that it has."""

    def make(**runs: list[Any]) -> tuple[str, list[Picture]]:
        for name, rows in runs.items():
            (tmp_path / name).mkdir()
            text = "".join(f"{json.dumps(row)}\n" for row in rows)
            (tmp_path / name / "log.jsonl").write_text(text)
            asked = {"settings": {"objective": "sipo", "eps_clip": 0.1}}
            (tmp_path / name / "run.json").write_text(json.dumps(asked))
        found = plot.plot([tmp_path / name for name in runs], tmp_path / "all.html")
        return found.read_text(), undrawn

    return make


@pytest.mark.parametrize(
    ("ends", "said"),
    [
        ({}, "+0.2 and losers&#39; -0.4: winners above the reference and losers below, as it"),
        ({"psi_w": -0.1}, "-0.1 and losers&#39; -0.4: both below the reference, look at the"),
        ({"psi_l": 0.1}, "+0.2 and losers&#39; +0.1: both above the reference"),
        ({"psi_w": -0.1, "psi_l": 0.1}, "losers above winners, the wrong way round"),
    ],
)
def test_the_sentence_is_that_of_its_figures(page: Any, ends: dict[str, Any], said: str) -> None:
    text, _ = page(run=log(ends))
    assert said in text
    assert "25 steps on 200 pairs" in text
    assert "No warning." in text


def test_a_warning_stands_on_the_time_axis(page: Any) -> None:
    text, charts = page(well=log({}, {}), ill=log({}, {"psi_w": -1.0}))
    assert "ill: 50 steps on 400 pairs" in text
    assert "One warning." in text
    over_pairs = [chart for chart in charts if isinstance(chart, Chart) and not chart.shares]
    for chart in over_pairs:
        [mark] = chart.marks
        assert (mark.x, mark.number, mark.color) == (400, 1, "c2")  # of the second run
        assert mark.text.startswith("ill, step 50: the winner's reward falls")
        assert chart.reading.endswith(".")
    assert mark.text.replace("'", "&#39;") in text


def test_runs_stand_side_by_side_and_a_run_shows_its_sides() -> None:
    alone, both = ({name: log({}) for name in names} for names in (["a"], ["a", "b"]))
    rewards = next(over_time(alone, []))
    assert [(line.name, line.color) for line in rewards.lines] == [
        ("winners", "good"),
        ("losers", "bad"),
    ]
    names = [line.name for line in next(over_time(both, [])).lines]
    assert names == ["a, winners", "a, losers", "b, winners", "b, losers"]


def test_by_timestep_what_no_pair_saw_is_left_empty() -> None:
    charts = list(over_timesteps({"a": log({})}, 0.9))
    weight, _, rewards, winners, losers = charts
    assert isinstance(weight, Chart)
    assert weight.levels == (0.9,)
    assert weight.lines[0].points[:2] == [(0.05, pytest.approx(0.8)), (0.25, pytest.approx(1.0))]
    assert isinstance(rewards, Chart)
    assert [line.points[0][1] for line in rewards.lines] == pytest.approx([0.1, -0.1])
    assert isinstance(winners, Cells)
    assert isinstance(losers, Cells)
    assert set(winners.values[1]) == {None}
    assert losers.values[2][0] == pytest.approx(-0.4)
    assert losers.columns[-1] == 200


def test_a_run_without_a_reference_has_what_it_can() -> None:
    lacks = ("psi_w", "psi_l", "margin", "implicit_acc", "psi_w_by_t", "psi_l_by_t")
    lacks += ("gradient_factor", "abs_z")
    rows = [{name: each for name, each in row.items() if name not in lacks} for row in log({})]
    logs: Any = {"sft": rows}
    titles = [chart.title for chart in (*over_time(logs, []), *over_timesteps(logs, None))]
    assert (
        titles
        == [
            "Pairs kept, and their weight w",
            "Size of gradients",
            "Importance weight w(t)",
            "Pairs kept by timestep",
        ]
        or titles[0] == "How much a pair still teaches"
    )


def test_lines_are_as_long_as_a_page_can_use() -> None:
    rows: Any = log(*[{}] * 40)
    lines: list[Line] = [line for c in over_time({"a": rows}, []) for line in c.lines]
    assert {len(line.points) for line in lines} == {100}


def test_many_runs_leave_room_for_their_curves(page: Any, undrawn: list[Picture]) -> None:
    """Each is in a legend once, whatever sides it has; warnings stand in the list alone."""
    text, charts = page(**{f"run-{n}": log({}, {"psi_w": -1.0}) for n in range(3)})
    rewards = charts[0]
    assert isinstance(rewards, Chart)
    assert rewards.title == "Rewards of winners and losers (losers dashed)"
    assert [line.legend for line in rewards.lines] == ["run-0"] * 2 + ["run-1"] * 2 + ["run-2"] * 2
    assert not rewards.marks
    assert "run-2, step 50: the winner&#39;s reward falls" in text
    assert "on the time axes" not in text
