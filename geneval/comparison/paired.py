"""Two evaluations of the same prompts: who is better, by how much, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from sipo.common.files.urls import place_of
from sipo.common.records import Record
from sipo.common.statistics import OVERALL, Difference, differences
from sipo.geneval.evaluation_folder import RESULTS, SUMMARY, read_summary
from sipo.geneval.results import ImageResult, Tally, read_rows, tally
from sipo.geneval.summary import EvaluationConfig, TagSummary

_SEED = "seeds.seed"
_REMEDY = {
    "detector": "judge one of them again with --images DIR --judge NAME",
    "images_per_prompt": "evaluate one of them again with the other's --images-per-prompt",
    "prompts.sha256": "evaluate both with the same --suite or --prompts",
    _SEED: "evaluate one of them again with the other's --seed",
}
"""What must agree, and how to make it."""


class Comparison(Record):
    """Differences are b - a, paired by prompt; `overall` is the unweighted mean over tags."""

    overall: Difference
    tags: dict[str, Difference]
    prompts_dropped: int  # that a judge could not judge at all
    sharpness: Difference | None = None  # of the images; None where a folder does not say it


class _Compared(EvaluationConfig):
    """Of summary.json what is compared, or must agree; earlier versions said no more."""

    tags: dict[str, TagSummary] = Field(default={})


def compare(a: str | Path, b: str | Path) -> Comparison:
    """The gain of `b` over `a`. Raises ValueError when they differ in prompts, images per prompt,

    seed or detector, and where a tag has no prompt that both could judge.
    """
    first, second = _read(place_of(a)), _read(place_of(b))
    ours, theirs = _identity(first), _identity(second)
    for key, remedy in _REMEDY.items():
        both_say = ours[key] is not None and theirs[key] is not None
        if ours[key] != theirs[key] and (
            both_say or key != _SEED
        ):  # images made elsewhere have none
            raise ValueError(
                f"{str(a)!r} and {str(b)!r} differ in {key} ({ours[key]!r} and {theirs[key]!r}), "
                f"so their difference would mean nothing; {remedy}"
            )
    ours_rows, theirs_rows = _rows(place_of(a), first), _rows(place_of(b), second)
    before, after, dropped = _common(tally(ours_rows), tally(theirs_rows))
    _require_tags(before, dropped, a, b)
    tags = differences(before, after)
    overall = tags.pop(OVERALL)
    kept = {prompt for prompts in before.values() for prompt in prompts}
    made = Comparison(overall=overall, tags=tags, prompts_dropped=sum(dropped.values()))
    sharper = _sharper(*(_sharpness(rows, kept) for rows in (ours_rows, theirs_rows)))
    return made.model_copy(update={} if sharper is None else {"sharpness": sharper})


def _sharpness(rows: Sequence[ImageResult], kept: Collection[str]) -> dict[str, list[float]] | None:
    """Of the images of each prompt; None where a row does not say it."""
    by_prompt: dict[str, list[float]] = {}
    for row in rows:
        if row.sharpness is None:
            return None
        if row.metadata in kept:
            by_prompt.setdefault(row.metadata, []).append(row.sharpness)
    return by_prompt


def _sharper(
    a: Mapping[str, Sequence[float]] | None, b: Mapping[str, Sequence[float]] | None
) -> Difference | None:
    """Of the means over all images, paired by prompt."""
    if a is None or b is None:
        return None
    before, after = (
        {OVERALL: {prompt: (sum(side[prompt]), len(side[prompt])) for prompt in sorted(side)}}
        for side in (a, b)
    )
    return differences(before, after)[OVERALL]


def _identity(summary: EvaluationConfig) -> dict[str, object]:
    return {
        "detector": summary.detector,
        "images_per_prompt": summary.images_per_prompt,
        "prompts.sha256": summary.prompts.sha256,
        _SEED: summary.seeds and summary.seeds.seed,
    }


def _read(path: Path) -> _Compared:
    for name in (SUMMARY, RESULTS):
        if not (path / name).is_file():
            raise ValueError(
                f"{str(path)!r} has no {name}; run sipo-geneval there first (--images DIR for "
                "images made elsewhere)"
            )
    return read_summary(path, _Compared)


def _rows(path: Path, summary: _Compared) -> list[ImageResult]:
    """Raises ValueError where the rows are not those that the summary counted."""
    rows = read_rows(path / RESULTS)
    counted = sum(tag.images for tag in summary.tags.values())
    if summary.tags and counted != len(rows):
        raise ValueError(
            f"{str(path / RESULTS)!r} has {len(rows)} rows where {SUMMARY} counts {counted}; "
            f"remove {SUMMARY} and run the same sipo-geneval again"
        )
    return rows


def _require_tags(kept: Tally, dropped: Mapping[str, int], a: str | Path, b: str | Path) -> None:
    """An overall of the other tags would mean something else."""
    if lost := [tag for tag in dropped if tag not in kept]:
        raise ValueError(
            f"{str(a)!r} and {str(b)!r} have no prompt of tag {lost[0]!r} that both could judge; "
            "see `failures` in their summary.json, mend the judge and evaluate again"
        )
    if not kept:
        raise ValueError(f"{str(a)!r} and {str(b)!r} hold no judged image; evaluate them again")


def _common(a: Tally, b: Tally) -> tuple[Tally, Tally, Counter[str]]:
    """Both without the prompts that one of them could not judge at all; how many, by tag."""
    total = {(tag, p) for counts in (a, b) for tag, prompts in counts.items() for p in prompts}
    kept = {(tag, p) for tag, p in total if p in a.get(tag, {}) and p in b.get(tag, {})}

    def cut(counts: Tally) -> Tally:
        trimmed = {
            tag: {p: n for p, n in prompts.items() if (tag, p) in kept}
            for tag, prompts in counts.items()
        }
        return {tag: prompts for tag, prompts in trimmed.items() if prompts}

    return cut(a), cut(b), Counter(tag for tag, _ in total - kept)
