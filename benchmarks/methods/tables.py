"""The comparison as Markdown: one row a run, then one row a question."""

from __future__ import annotations

from arms import CONTRASTS
from results import BASE, Results

from sipo.common.statistics import OVERALL, Tally, means, paired_intervals


def page(results: Results) -> str:
    """Of the arms that have been run with every seed that the base has."""
    whole = [arm for arm in results.arms if results.seeds(arm) == results.seeds(BASE)]
    first = sorted(whole, key=lambda arm: -means(results.pooled(arm))[OVERALL])
    return f"{runs(results, first)}\n\n{questions(results, set(whole))}"


def runs(results: Results, arms: list[str]) -> str:
    base = results.pooled(BASE)
    tags = list(base)
    head = ["run", "Overall", "gain over the base (95 %)", *tags, "empty", "psi_w", "psi_l", "keep"]
    head += ["error on winners"]
    rows = []
    for arm in arms:
        counts = results.pooled(arm)
        shares = means(counts)
        cells = [arm, f"{shares[OVERALL]:.3f}", "" if arm == BASE else gain(base, counts)]
        cells += [f"{shares[tag]:.2f}" for tag in tags]
        cells += [f"{results.mean(arm, 'empty_share'):.1%}"]
        if arm != BASE and not results.has_rewards(arm):
            cells += ["", "", f"{results.mean(arm, 'keep'):.2f}"]
        elif arm != BASE:
            cells += [f"{results.mean(arm, side):+.2f}" for side in ("psi_w", "psi_l")]
            growth = results.mean(arm, "error_w") / results.mean(arm, "ref_error_w") - 1
            cells += [f"{results.mean(arm, 'keep'):.2f}", f"{growth:+.1%}"]
        rows.append(cells + [""] * (len(head) - len(cells)))
    return table(head, rows)


def questions(results: Results, whole: set[str]) -> str:
    """Each answer pairs the same prompts and seeds."""
    rows = [
        [question, a, b, gain(results.pooled(b), results.pooled(a))]
        for question, (a, b) in CONTRASTS.items()
        if {a, b} <= whole
    ]
    return table(["question", "with", "without", "difference (95 %)"], rows)


def gain(before: Tally, after: Tally) -> str:
    difference = means(after)[OVERALL] - means(before)[OVERALL]
    interval = paired_intervals(before, after)[OVERALL]
    shown = "no interval" if interval is None else "[{:+.3f}, {:+.3f}]".format(*interval)
    return f"{difference:+.3f} {shown}"


def table(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
