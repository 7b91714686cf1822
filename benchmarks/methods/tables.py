"""The comparison as Markdown: a table a study, then one row a question.

Of every arm the seeds that were run; differences are between the same prompts and seeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from arms import (
    ARMS,
    AT_CONSTANT_RATES,
    BETAS,
    BY_BETA,
    COLLAPSE,
    COLLAPSE_RATES,
    FLIPPED,
    METHODS,
    NOT_FLIPPED,
    OFF_POLICY,
    TABLES_RATE,
    TEACHER,
    at_beta,
    rated,
    rates_of,
)
from compute import MINUTES, area, constant, curve, step_s
from results import BASE, Results

from sipo.common.statistics import OVERALL, Difference, differences, means


def page(results: Results) -> str:
    parts = [methods(results), questions(results), betas(results), collapse(results)]
    parts += [areas(results), rows_of(results, OFF_POLICY), noise(results)]
    return "\n\n".join(part for part in parts if part)


def best(results: Results, method: str) -> str | None:
    """The arm of the rate that did best on the validation prompts, first seed."""
    arms = [rated(method, rate) for rate in rates_of(method)]
    tried = [name for name in arms if results.has(name, 0)]
    return max(tried, key=lambda name: results.overall(name, "validation", 0), default=None)


def methods(results: Results) -> str:
    tags = list(results.pooled(BASE))
    head = ["method", "rate", "seeds", "validation", "test", "gain over the base (95 %)", *tags]
    head += ["empty", "psi_w", "psi_l", "error on winners", "validation at other rates (seed 0)"]
    names = {method: best(results, method) for method in METHODS}
    found = [(method, name) for method, name in names.items() if name]
    found.sort(key=lambda one: -results.overall(one[1], "test"))
    rows = [row(results, method, name) for method, name in found]
    rows.append(row(results, BASE, BASE))
    return table(head, rows)


def row(results: Results, method: str, name: str) -> list[str]:
    shares = means(results.pooled(name))
    rate = "" if name == BASE else name.rpartition(", ")[2]
    cells = [method, rate, str(len(results.seeds(name)))]
    cells += [f"{results.overall(name, 'validation'):.3f}", f"{shares[OVERALL]:.3f}"]
    cells += ["" if name == BASE else shown(gain(results, BASE, name))]
    cells += [f"{value:.2f}" for tag, value in shares.items() if tag != OVERALL]
    cells += [f"{results.mean(name, 'empty_share'):.1%}"]
    if name == BASE:
        return [*cells, "", "", "", ""]
    if all("psi_w" in entry for entry in results.arms[name].values()):
        cells += [f"{results.mean(name, side):+.2f}" for side in ("psi_w", "psi_l")]
        growth = results.mean(name, "error_w") / results.mean(name, "ref_error_w") - 1
        cells += [f"{growth:+.1%}"]
    else:
        cells += ["", "", ""]
    others = (
        []
        if name == BASE
        else [arm for rate in rates_of(method) if (arm := rated(method, rate)) != name]
    )
    known = [other for other in others if results.has(other, 0)]
    values = (
        f"{other.rpartition(', ')[2]}: {results.overall(other, 'validation', 0):.3f}"
        for other in known
    )
    return [*cells, ", ".join(values)]


CONTRASTS: dict[str, tuple[str, str]] = {
    "SIPO's weight and mask, at equal beta": ("sipo", "diffusion-dpo"),
    "the same, anchored": ("sipo, anchor", "diffusion-dpo, anchor"),
    "the weight inside or outside the sigmoid": ("sipo", "dpo-cm"),
    "the reference as denominator": ("sipo, denominator ref", "sipo"),
    "the anchor, SIPO": ("sipo, anchor", "sipo"),
    "the anchor, Diffusion-DPO": ("diffusion-dpo, anchor", "diffusion-dpo"),
    "the anchor, t >= 400": ("sipo, anchor, t >= 400", "sipo, t >= 400"),
    "high timesteps and beta 100, anchored SIPO": ("sipo, anchor, t >= 400", "sipo, anchor"),
    "beta 100 alone, anchored SIPO": ("sipo, anchor, beta 100", "sipo, anchor"),
    "high timesteps alone, beta 100, anchored SIPO": (
        "sipo, anchor, t >= 400",
        "sipo, anchor, beta 100",
    ),
    "high timesteps alone, beta 1000, anchored SIPO": (
        "sipo, anchor, t >= 400, beta 1000",
        "sipo, anchor",
    ),
    "beta 100 alone, SIPO": ("sipo, beta 100", "sipo"),
    "beta 100 alone, Diffusion-DPO": ("diffusion-dpo, beta 100", "diffusion-dpo"),
    "SIPO's weight and mask, at beta 100": ("sipo, beta 100", "diffusion-dpo, beta 100"),
    "high timesteps alone, beta 100, SIPO": ("sipo, t >= 400", "sipo, beta 100"),
    "the anchor, beta 100": ("sipo, anchor, beta 100", "sipo, beta 100"),
    "the anchor, beta 30": ("sipo, anchor, beta 30", "sipo, beta 30"),
    "beta 30 or 100, anchored SIPO": ("sipo, anchor, beta 30", "sipo, anchor, beta 100"),
    "the same at t >= 400": ("sipo, anchor, t >= 400, beta 30", "sipo, anchor, t >= 400"),
    "beta 30 or 10 there": (
        "sipo, anchor, t >= 400, beta 30",
        "sipo, anchor, t >= 400, beta 10",
    ),
    "high timesteps alone, beta 30, anchored SIPO": (
        "sipo, anchor, t >= 400, beta 30",
        "sipo, anchor, beta 30",
    ),
    "high timesteps, SFT": ("sft, t >= 400", "sft"),
    "high timesteps, NFT": ("nft, t >= 400", "nft"),
    "losers as well as winners, beta 100, t >= 400": ("sipo, anchor, t >= 400", "sft, t >= 400"),
    "losers as well as winners, beta 30, t >= 400": (
        "sipo, anchor, t >= 400, beta 30",
        "sft, t >= 400",
    ),
    "anchored SIPO or NFT, t >= 400": ("sipo, anchor, t >= 400", "nft, t >= 400"),
    "SIPO or Diffusion-DPO, anchored, t >= 400": (
        "sipo, anchor, t >= 400",
        "diffusion-dpo, anchor, t >= 400",
    ),
    "the same at beta 30": (
        "sipo, anchor, t >= 400, beta 30",
        "diffusion-dpo, anchor, t >= 400, beta 30",
    ),
    "SIPO's weight and mask, pairs of a stronger policy": (
        "sipo, pairs of a stronger policy",
        "diffusion-dpo, pairs of a stronger policy",
    ),
    "SIPO's weight and mask, pairs of an older policy": (
        "sipo, pairs of an older policy",
        "diffusion-dpo, pairs of an older policy",
    ),
    "the older policy as denominator, on its pairs": (
        "sipo, denominator behaviour, pairs of an older policy",
        "sipo, pairs of an older policy",
    ),
    "the same against Diffusion-DPO": (
        "sipo, denominator behaviour, pairs of an older policy",
        "diffusion-dpo, pairs of an older policy",
    ),
    "its own pairs or an older policy's": (
        "sipo, pairs of its own",
        "sipo, pairs of an older policy",
    ),
    "its own pairs or an older policy's, anchored": (
        "sipo, anchor, pairs of its own",
        "sipo, anchor, pairs of an older policy",
    ),
}
"""Question -> arms (with, without), or methods, each at its best rate."""


def questions(results: Results) -> str:
    rows = []
    for question, (first, second) in CONTRASTS.items():
        one, other = (
            name if name in results.arms and name in ARMS else best(results, name)
            for name in (first, second)
        )
        if one and other:
            rows.append([question, first, second, shown(gain(results, other, one))])
    return table(["question", "with", "without", "difference (95 %)"], rows)


def betas(results: Results) -> str:
    return grid(results, "gain by beta_dpo", BY_BETA, BETAS, at_beta)


def noise(results: Results) -> str:
    def arm(name: str, share: int) -> str:
        return f"{name}, {share} % flipped" if share else NOT_FLIPPED[name]

    return grid(results, "gain by % of verdicts flipped", [*NOT_FLIPPED], (0, *FLIPPED), arm)


def grid(results: Results, title: str, names: Sequence[str], columns, arm) -> str:  # type: ignore[no-untyped-def]
    """Gains on the test prompts of what was run, "" where that is one column; the number of seeds
    where it is not one."""
    columns = [c for c in columns if any(results.seeds(arm(name, c)) for name in names)]
    if len(columns) < 2:
        return ""
    rows = []
    for name in names:
        cells = [value(results, arm(name, column)) for column in columns]
        if any(cells):
            rows.append([name, *cells])
    return table([title, *map(str, columns)], rows)


def value(results: Results, name: str) -> str:
    if not (seeds := results.seeds(name)):
        return ""
    ending = f" ({len(seeds)} seeds)" if len(seeds) > 1 else ""
    return f"{gain(results, BASE, name).difference:+.3f}{ending}"


def collapse(results: Results) -> str:
    """What the looks saw of each rate: the best, and the last one of a run that fell from it."""
    rows = []
    for name in AT_CONSTANT_RATES:
        cells = [fate(results, f"{name}, constant {rate:g}") for rate in COLLAPSE_RATES]
        if any(cells):
            rows.append([name, *cells])
    return table(["constant rate", *(f"{rate:g}" for rate in COLLAPSE_RATES)], rows)


def fate(results: Results, name: str) -> str:
    fates = []
    for seed in results.seeds(name):
        entry = results.arms[name][seed]
        step, last, _ = entry["looks"][-1]
        top_step, top, _ = max(entry["looks"], key=lambda look: look[1])
        whole = entry["steps"] >= COLLAPSE[name].steps
        end = f"{last:.2f} at {step}" if whole else f"fell to {last:.2f} by {step}"
        fates.append(f"{top:.2f} at {top_step}, {end}")
    return "; ".join(fates)


def areas(results: Results) -> str:
    """At the constant rate of the other tables, of the mean over the seeds."""
    rows = []
    for method in AT_CONSTANT_RATES:
        name, seconds = constant(method), step_s(results, method)
        if seconds and (seeds := results.seeds(name)):
            curves = [curve(results, name, seed, seconds) for seed in seeds]
            ends = [results.arms[name][seed]["steps"] for seed in seeds]
            top = fmean(max(overall for _, overall in points) for points in curves)
            under = fmean(map(area, curves))
            cells = [f"{seconds:.2f}", f"{top:.3f}", f"{under:.3f}", ", ".join(map(str, ends))]
            rows.append([method, str(len(seeds)), *cells])
    head = [f"constant {TABLES_RATE:g}", "seeds", "CPU s a step", "best look"]
    return table([*head, f"area over {MINUTES:g} CPU minutes", "fell by step"], rows)


def rows_of(results: Results, names: Iterable[str]) -> str:
    rows = [
        [
            name,
            str(len(results.seeds(name))),
            value_of(results, name),
            shown_over_start(results, name),
        ]
        for name in names
        if results.seeds(name)
    ]
    return table(["run", "seeds", "test", "gain over what it began from (95 %)"], rows)


def value_of(results: Results, name: str) -> str:
    return f"{results.overall(name, 'test'):.3f}"


def shown_over_start(results: Results, name: str) -> str:
    trained = ARMS[name].start and name != TEACHER
    return shown(gain(results, TEACHER if trained else BASE, name))


def gain(results: Results, before: str, after: str) -> Difference:
    """On the test prompts, of the seeds that both have."""
    both = [seed for seed in results.seeds(after) if seed in results.seeds(before)]
    pooled = (results.pooled(name, "test", both) for name in (before, after))
    return differences(*pooled)[OVERALL]


def shown(found: Difference) -> str:
    interval = found.interval
    ending = "no interval" if interval is None else "[{:+.3f}, {:+.3f}]".format(*interval)
    return f"{found.difference:+.3f} {ending}"


def table(head: list[str], rows: list[list[str]]) -> str:
    if not rows:
        return ""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, ["---"] * len(head), *rows])
