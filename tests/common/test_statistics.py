"""Means and intervals against cases worked out by hand."""

from __future__ import annotations

import pytest

from sipo.common.statistics import (
    differences,
    estimate,
    interval_fields,
    intervals,
    is_clear,
    paired_intervals,
    paired_means,
)

ONE_OF_EIGHT = {f"p{i}": (int(i == 0), 1) for i in range(8)}


def test_interval_of_one_correct_prompt_in_eight() -> None:
    """The resampled number of correct ones is Binomial(8, 1/8): P(0) = .34, P(<= 2) = .93,
    P(<= 3) = .99, so the 2.5 % quantile is 0 and the 97.5 % quantile 3/8."""
    bounds = intervals({"counting": ONE_OF_EIGHT})
    assert bounds == {"counting": (0.0, 0.375), "overall": (0.0, 0.375)}


def test_images_of_one_prompt_are_no_independent_evidence() -> None:
    """Four images of it are one draw; two prompts of four images are two."""
    assert intervals({"counting": {"p": (2, 4)}}) == {"counting": None, "overall": None}
    two = {"counting": {"p": (4, 4), "q": (0, 4)}}
    assert (
        intervals(two)["counting"]
        == intervals({"counting": {"p": (1, 1), "q": (0, 1)}})["counting"]
    )


def test_strata_keep_their_size() -> None:
    """All of one tag right, all of the other wrong: a resample by tag never mixes them."""
    counts = {"counting": {"a": (1, 1), "b": (1, 1)}, "colors": {"c": (0, 1), "d": (0, 1)}}
    assert intervals(counts)["overall"] == (0.5, 0.5)


def test_one_prompt_of_a_tag_leaves_it_and_overall_without_interval() -> None:
    """What it would vary by is unknown, and overall would be too narrow by just that."""
    before = {"counting": {"a": (1, 1), "b": (0, 1)}, "colors": {"c": (1, 1)}}
    after = {"counting": {"a": (1, 1), "b": (1, 1)}, "colors": {"c": (0, 1)}}
    found = paired_intervals(before, after)
    assert found["counting"] == (0.0, 1.0)
    assert found["colors"] is found["overall"] is None
    assert intervals(before)["overall"] is None


def test_five_prompts_that_agree_are_chance() -> None:
    """2 / 2**5 = 0.0625 by the sign test, 2 / 2**6 = 0.03125."""
    certain = estimate((f"p{number}", 1.0) for number in range(5)).interval
    assert certain == (1.0, 1.0)
    assert not is_clear(certain, 5)
    assert is_clear(certain, 6)
    assert not is_clear(certain, 6, chance=1.0)
    assert not is_clear(None, 100)


def test_a_missing_interval_says_why() -> None:
    assert interval_fields((0.0, 1.0)) == {"interval": (0.0, 1.0)}
    assert interval_fields(None, ["colors"]) == {
        "interval": None,
        "no_interval": "colors: one prompt, which says nothing of others",
    }
    alone = estimate([("p", 0.1), ("p", 0.2), ("p", 0.6)])
    assert alone.to_dict() == {
        "value": pytest.approx(0.3),
        "interval": None,
        "no_interval": "one prompt, which says nothing of others",
    }


def test_paired_difference_of_one_changed_prompt_in_eight() -> None:
    """Prompts differ a lot, their changes do not: only the changed one makes for doubt."""
    before = {"counting": {f"p{i}": (i % 2 * 4, 4) for i in range(8)}}
    after = {"counting": before["counting"] | {"p0": (4, 4)}}
    assert paired_intervals(before, after)["counting"] == (0.0, 0.375)
    assert paired_intervals(after, before)["overall"] == (-0.375, 0.0)


def test_the_same_change_everywhere_is_certain() -> None:
    before = {"counting": {f"p{i}": (i % 3, 4) for i in range(6)}}
    after = {"counting": {p: (correct + 1, 4) for p, (correct, _) in before["counting"].items()}}
    assert paired_intervals(before, after)["overall"] == pytest.approx((0.25, 0.25))


def test_a_mean_is_over_values_and_its_interval_over_units() -> None:
    """Units of 1 and of 3 values: the mean is 6/4, and of two units a resample has one, both, or
    the other: means 0, 6/4 and 2 with chances 1/4, 1/2, 1/4."""
    found = estimate([("a", 0.0), ("b", 1.0), ("b", 2.0), ("b", 3.0)])
    assert (found.value, found.interval) == (1.5, (0.0, 2.0))


def test_differences_say_what_is_clear() -> None:
    before = {"counting": {f"p{i}": (0, 1) for i in range(6)}}
    after = {"counting": {f"p{i}": (1, 1) for i in range(6)}}
    expected = {"a": 0.0, "b": 1.0, "difference": 1.0, "interval": [1.0, 1.0], "clear": True}
    found = differences(before, after)
    assert found["counting"].to_dict() == found["overall"].to_dict() == expected
    assert not differences(before, before)["overall"].clear


@pytest.mark.parametrize(("higher_wins", "rate"), [(True, 0.75), (False, 0.25)])
def test_paired_means(higher_wins: bool, rate: float) -> None:
    """b - a is 1 and 0: a win and a tie."""
    found = paired_means(["p", "q"], [1, 1], [2, 1], higher_wins=higher_wins)
    assert (found.a, found.b, found.pairs, found.prompts) == (1, 1.5, 2, 2)
    assert (found.difference.value, found.difference.interval) == (0.5, (0.0, 1.0))
    assert found.win_rate.value == rate
    assert "dropped" not in found.to_dict()
