"""What a folder holds: accuracy by tag, best of N, pairs, what was lost, why images fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any

from sipo.datagen.generation.shard_stages import judged_of
from sipo.datagen.looking.review import Decisions, PairName, names_of
from sipo.datagen.storage.shard_folder import CANDIDATES, PAIRS, ShardFolder, judge_names
from sipo.feedback.complaint_table import complaint_lines, count_complaints
from sipo.feedback.prompts.prompt import TAGS

Facts = dict[str, Any]
"""A candidate's row of the index: prompt, tag, score, correct, failure."""


def summarize(folder: ShardFolder) -> dict[str, Any]:
    """`summary.json`; `review` only where there is one. Raises ValueError for a shard not done."""
    candidates: list[Facts] = []
    pairs: list[Facts] = []
    names: list[PairName] = []
    decisions = Decisions(folder)
    dropped: Counter[str] = Counter()
    for number in range(folder.shards):
        candidates += folder.index(CANDIDATES, number)["samples"].values()
        index = folder.index(PAIRS, number)
        pairs += index["samples"].values()
        if decisions:
            names += names_of(folder, number).values()
        dropped.update({name: index[name] for name in ("ties", "under_margin", "over_cap")})
    paired_prompts = {row["prompt"] for row in pairs}
    failures = Counter(row["failure"] for row in candidates if row["failure"] is not None)
    rows = {name: folder.config[name] for name in ("rows", "dropped") if "import" in folder.config}
    judged = (
        (one.request.prompt, one.verdict)
        for number in range(0 if folder.labelled else folder.shards)  # people say no more than that
        for one in judged_of(folder, number)
    )
    return {
        "prompts": folder.config["prompts"]["count"],
        "repeated_prompts": folder.config["prompts"]["repeated"],
        "prompts_without_pairs": folder.config["prompts"]["count"] - len(paired_prompts),
        "candidates": len(candidates),
        "pairs": len(pairs),
        "mean_margin": _mean(row["margin"] for row in pairs),
        "dropped": dict(dropped),
        "failures": dict(failures),
        "overall": _scores(candidates, pairs),
        "tags": {
            tag: _scores(
                [row for row in candidates if row["tag"] == tag],
                [row for row in pairs if row["tag"] == tag],
            )
            for tag in TAGS
            if any(row["tag"] == tag for row in candidates)
        },
        "complaints": count_complaints(judged),
        **({"import": rows} if rows else {}),
        **({"original": folder.original} if folder.original else {}),
        **({"review": decisions.count(names)} if decisions else {}),
    }


def summary_lines(summary: dict[str, Any]) -> list[str]:
    """The summary as a table for the terminal."""
    head = f"{'tag':<14}{'candidates':>11}{'accuracy':>10}{'score':>8}{'best of N':>11}{'pairs':>8}"
    lines = [head, *(_line(tag, row) for tag, row in summary["tags"].items())]
    lines.append(_line("all", summary["overall"]))
    made = (
        f"{summary['pairs']} pairs of {summary['prompts']} prompts "
        f"({summary['prompts_without_pairs']} gave none)"
    )
    imported, dropped = summary.get("import"), summary["dropped"]
    if imported is None or any(dropped.values()):
        made += (
            f"; dropped: {dropped['ties']} ties, {dropped['under_margin']} under the margin, "
            f"{dropped['over_cap']} over the cap"
        )
    lines.append(made)
    if imported is not None:
        causes = sorted(imported["dropped"].items(), key=lambda cause: (-cause[1], cause[0]))
        said = ", ".join(f"{count} {cause}" for cause, count in causes) or "none"
        lines.append(f"{imported['rows']} rows of the source read; dropped: {said}")
    if review := summary.get("review"):
        lines.append(
            f"review: {review['keep']} kept, {review['flip']} flipped, {review['drop']} dropped, "
            f"{review['open']} not looked at, {review['stale']} decisions on what is no pair now"
        )
    if original := summary.get("original"):
        lines.append(
            f"originally judged by {judge_names(original['judge'])}, paired by "
            f"{original['policy']} over margin {original['margin']:g}, at most "
            f"{original['max_pairs_per_prompt']} a prompt"
        )
    if summary["repeated_prompts"]:
        lines.append(f"{summary['repeated_prompts']} prompts repeated another's text: left out")
    for cause, count in summary["failures"].items():
        lines.append(f"{count} candidates could not be judged: {cause}")
    return lines + complaint_lines(summary["complaints"])


def _scores(candidates: Sequence[Facts], pairs: Sequence[Facts]) -> dict[str, Any]:
    """`best_of_n`: share of prompts with a correct candidate. Failed verdicts are left out."""
    judged = [row for row in candidates if row["failure"] is None]
    by_prompt = [list(group) for _, group in groupby(judged, key=lambda row: row["prompt"])]
    return {
        "candidates": len(candidates),
        "accuracy": _mean(row["correct"] for row in judged),
        "mean_score": _mean(row["score"] for row in judged),
        "best_of_n": _mean(any(row["correct"] for row in group) for group in by_prompt),
        "mean_best_score": _mean(max(row["score"] for row in group) for group in by_prompt),
        "pairs": len(pairs),
    }


def _mean(values: Iterable[float]) -> float | None:
    """None for nothing, so that a missing number is not read as a bad one."""
    known = list(values)
    return fmean(known) if known else None


def _line(tag: str, row: dict[str, Any]) -> str:
    numbers = [
        "-" if row[name] is None else f"{row[name]:.3f}"
        for name in ("accuracy", "mean_score", "best_of_n")
    ]
    return (
        f"{tag:<14}{row['candidates']:>11}{numbers[0]:>10}{numbers[1]:>8}"
        f"{numbers[2]:>11}{row['pairs']:>8}"
    )
