"""From the chances of right answers to one score of an image.

arithmetic    the share of questions that are answered rightly
dependent     the same, a child of a "no" counting as no, and so do its own children
              (Cho et al. 2024, Davidsonian Scene Graph, section 3: `dependency`, as DPG-Bench and
              OneIG-Bench score; OneIG's README)
geometric     near 0 as soon as one fails (Kamath et al. 2025, GenEval 2)

There answers are yes or no. Here they are chances, so a parent under `least` is the "no".
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from graphlib import TopologicalSorter

from sipo.feedback.prompts.question import Mean, Question


def without_orphans(
    questions: Sequence[Question], chances: Sequence[float], least: float
) -> list[float]:
    """The chances, those of the children of a "no" 0; parents first, so it is transitive."""
    found = {one.id: chance for one, chance in zip(questions, chances, strict=True)}
    parents = {one.id: one.parents for one in questions}
    for name in TopologicalSorter(parents).static_order():
        if any(found[parent] < least for parent in parents[name]):
            found[name] = 0.0
    return [found[one.id] for one in questions]


def reductions(
    questions: Sequence[Question], chances: Sequence[float], least: float
) -> dict[Mean, float]:
    """`chances`: of the right answer of each question, of which there is one at least."""
    count, kept = len(chances), without_orphans(questions, chances, least)
    return {
        "arithmetic": sum(chances) / count,
        "dependent": sum(kept) / count,
        "geometric": math.prod(chances) ** (1 / count),
    }
