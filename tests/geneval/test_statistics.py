"""Accuracies and intervals against cases worked out by hand."""

import pytest

from sipo.geneval.results import ImageResult
from sipo.geneval.statistics import (
    accuracies,
    intervals,
    is_clear,
    mean_interval,
    paired_intervals,
    said,
    tally,
)

ONE_OF_EIGHT = {f"p{i}": (int(i == 0), 1) for i in range(8)}


def row(tag: str, prompt: str, correct: bool) -> ImageResult:
    fields = {"filename": "", "prompt": prompt, "reason": "", "metadata": prompt, "details": "{}"}
    return ImageResult.model_validate(fields | {"tag": tag, "correct": correct})


def test_overall_is_the_unweighted_mean_over_tags() -> None:
    rows = [row("counting", "a", True), *(row("colors", "b", i == 0) for i in range(4))]
    assert accuracies(tally(rows)) == {"counting": 1.0, "colors": 0.25, "overall": 0.625}


def test_a_tally_is_in_genevals_order_whatever_the_rows() -> None:
    rows = [row("position", "b", True), row("position", "a", True), row("colors", "c", True)]
    assert [(tag, list(prompts)) for tag, prompts in tally(rows).items()] == [
        ("colors", ["c"]),
        ("position", ["a", "b"]),
    ]


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
    certain = mean_interval([[1.0]] * 5)[1]
    assert certain == (1.0, 1.0)
    assert not is_clear(certain, 5)
    assert is_clear(certain, 6)
    assert not is_clear(certain, 6, chance=1.0)
    assert not is_clear(None, 100)


def test_a_missing_interval_says_why() -> None:
    assert said((0.0, 1.0)) == {"interval": [0.0, 1.0]}
    assert said(None, ["colors"]) == {
        "interval": None,
        "no_interval": "colors: one prompt, which says nothing of others",
    }
    assert mean_interval([[0.1, 0.2, 0.6]])[1] is None


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
