"""The tables of prompts that have questions of their own."""

from __future__ import annotations

from sipo.geneval.question_scores import RULES, QuestionGains, QuestionScores, RuleScores
from sipo.geneval.table_cells import bounds, compared, reasons


def question_lines(scores: QuestionScores) -> list[str]:
    """By each rule; the one that scored images has a star."""
    heads = "".join(f"{rule + '*' * (rule == scores.rule):>22}" for rule in RULES)
    lines = ["", f"{'answers':14}{heads}"]
    lines.append(_three("overall", scores.overall))
    for what, rows in (("group", scores.groups), ("category", scores.categories)):
        if rows:
            lines += [f"by {what}", *(_three(f"  {name}", row) for name, row in rows.items())]
    every = [scores.overall, *scores.groups.values(), *scores.categories.values()]
    if scores.rule:
        count = f"{scores.overall.images} images of {scores.overall.prompts} prompts"
        lines.append(f"* the rule by which images were scored; {count}")
    return lines + reasons([one.arithmetic for one in every])


def _three(name: str, row: RuleScores) -> str:
    cells = [f"{e.value:.3f} {bounds(e.interval, 3)}" for e in (getattr(row, r) for r in RULES)]
    if len(name) > 14:
        name = f"{name}\n{'':14}"
    return f"{name:14}" + "".join(f"{cell:>22}" for cell in cells)


def gain_lines(gains: QuestionGains) -> list[str]:
    rows = {f"{rule}, overall": gain for rule, gain in gains.overall.items()}
    rows |= {f"group {name}": gain for name, gain in gains.groups.items()}
    rows |= {f"category {name}": gain for name, gain in gains.categories.items()}
    return ["", f"answers; groups and categories by {gains.rule}", *compared(rows, 24)]
