"""Judged images counted by tag and prompt."""

from sipo.common.statistics import means
from sipo.geneval.results import ImageResult, tally


def row(tag: str, prompt: str, correct: bool) -> ImageResult:
    fields = {"filename": "", "prompt": prompt, "reason": "", "metadata": prompt, "details": "{}"}
    return ImageResult.model_validate(fields | {"tag": tag, "correct": correct})


def test_overall_is_the_unweighted_mean_over_tags() -> None:
    rows = [row("counting", "a", True), *(row("colors", "b", i == 0) for i in range(4))]
    assert means(tally(rows)) == {"counting": 1.0, "colors": 0.25, "overall": 0.625}


def test_a_tally_is_in_genevals_order_whatever_the_rows() -> None:
    rows = [row("position", "b", True), row("position", "a", True), row("colors", "c", True)]
    assert [(tag, list(prompts)) for tag, prompts in tally(rows).items()] == [
        ("colors", ["c"]),
        ("position", ["a", "b"]),
    ]
