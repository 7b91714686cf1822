"""Two evaluations of the same prompts: who is better, by how much, and how sure that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sipo.geneval.evaluation_folder import RESULTS, SUMMARY, read_summary
from sipo.geneval.results import read_rows
from sipo.geneval.statistics import (
    OVERALL,
    Tally,
    accuracies,
    is_clear,
    lonely_tags,
    paired_intervals,
    said,
    tally,
)

_MUST_AGREE = ("detector", "images_per_prompt", "prompts.sha256", "seeds.seed")
_REMEDY = {
    "detector": "judge one of them again with --images DIR --judge NAME",
    "images_per_prompt": "evaluate one of them again with the other's --images-per-prompt",
    "prompts.sha256": "evaluate both with the same --suite or --prompts",
    "seeds.seed": "evaluate one of them again with the other's --seed",
}


def compare(a: str | Path, b: str | Path) -> dict[str, Any]:
    """The gain of `b` over `a`, paired by prompt: `overall` and `tags`, each with

    `a`, `b`, `difference` (b - a), `interval` (95 %) and `clear` (the interval excludes 0, and
    there are prompts enough). Where there is one prompt there is no interval: None, and why in
    `no_interval`. Raises ValueError when they differ in prompts, images per prompt, seed or
    detector, and where a tag has no prompt that both could judge.
    """
    first, second = _read(Path(a)), _read(Path(b))
    for key in _MUST_AGREE:
        mine, theirs = _look_up(first, key), _look_up(second, key)
        known = mine is not None and theirs is not None  # images made elsewhere have no seed
        if mine != theirs and (known or key != "seeds.seed"):
            raise ValueError(
                f"{str(a)!r} and {str(b)!r} differ in {key} ({mine!r} and {theirs!r}), so their "
                f"difference would mean nothing; {_REMEDY[key]}"
            )
    before, after, dropped = _common(_tally(Path(a), first), _tally(Path(b), second))
    _require_tags(before, dropped, a, b)
    was, now, bounds = accuracies(before), accuracies(after), paired_intervals(before, after)
    prompts = {tag: len(own) for tag, own in before.items()}
    prompts[OVERALL] = sum(prompts.values())
    table = {
        name: {
            "a": was[name],
            "b": now[name],
            "difference": now[name] - was[name],
            **said(bounds[name], lonely_tags(before) if name == OVERALL else ()),
            "clear": is_clear(bounds[name], prompts[name]),
        }
        for name in was
    }
    overall = table.pop(OVERALL)
    return {"overall": overall, "tags": table, "prompts_dropped": sum(dropped.values())}


def _read(path: Path) -> dict[str, Any]:
    for name in (SUMMARY, RESULTS):
        if not (path / name).is_file():
            raise ValueError(
                f"{str(path)!r} has no {name}; run sipo-geneval there first (--images DIR for "
                "images made elsewhere)"
            )
    return read_summary(path)


def _tally(path: Path, summary: Mapping[str, Any]) -> Tally:
    """Raises ValueError where the rows are not those that the summary counted."""
    rows = read_rows(path / RESULTS)
    counted = [tag["images"] for tag in summary.get("tags", {}).values()]
    if counted and sum(counted) != len(rows):
        raise ValueError(
            f"{str(path / RESULTS)!r} has {len(rows)} rows where {SUMMARY} counts {sum(counted)}; "
            f"remove {SUMMARY} and run the same sipo-geneval again"
        )
    return tally(rows)


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


def _look_up(summary: dict[str, Any], key: str) -> Any:
    value: Any = summary
    for part in key.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value
