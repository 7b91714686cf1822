"""What no image can show: rows that would make every image wrong, found when they are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sipo.feedback.prompts.clause import MAX_OBJECTS, Clause

MAX_PLACED = 8  # of a class whose clauses stand in relations: whose box is whose is then searched


def contradiction(include: Sequence[Clause], exclude: Sequence[Clause]) -> str | None:
    """The first thing that cannot be, as a sentence; None where all can."""
    return (
        _no_target(include)
        or _placed_exclusion(exclude)
        or _excluded_and_included(include, exclude)
        or _round_in_circles(include)
        or _too_many(include)
    )


def _no_target(include: Sequence[Clause]) -> str | None:
    for number, clause in enumerate(include):
        if clause.position is None:
            continue
        target = clause.position[1]
        if not 0 <= target < len(include) or target == number:
            return (
                f"include[{number}].position names target {target}, "
                f"which is not another clause of the {len(include)} included"
            )
    return None


def _placed_exclusion(exclude: Sequence[Clause]) -> str | None:
    for number, clause in enumerate(exclude):
        if clause.position:
            return (
                f"exclude[{number}].position: what must not be there has no place; leave position "
                "out, or include the clause"
            )
    return None


def _excluded_and_included(include: Sequence[Clause], exclude: Sequence[Clause]) -> str | None:
    for number, clause in enumerate(exclude):
        asked = sum(
            one.count
            for one in include
            if one.class_name == clause.class_name and clause.color in (None, one.color)
        )
        if asked >= clause.count:
            name = clause.name
            return (
                f"exclude[{number}] forbids {clause.count} or more {name!r}, and {asked} are "
                f"included: no image can show that; exclude from {asked + 1} on"
            )
    return None


def _round_in_circles(include: Sequence[Clause]) -> str | None:
    """A left of B and B left of A: centres cannot be strictly ordered in a circle.

    Circles of unlike relations are possible ("A left of B", "B right of A"): a relation's cone is
    120 degrees wide, so any two of unlike direction have displacements that add up to nothing.
    """
    for start, clause in enumerate(include):
        at, relation = start, clause.position and clause.position[0]
        for _ in include:
            position = include[at].position
            if position is None or position[0] != relation:
                break
            at = position[1]
            if at == start:
                return (
                    f"include[{start}].position: {clause.class_name!r} is to be {relation} itself, "
                    "round a circle of targets: no image can show that; turn one relation round"
                )
    return None


def _too_many(include: Sequence[Clause]) -> str | None:
    if (total := sum(clause.count for clause in include)) > MAX_OBJECTS:
        return f"include asks for {total} objects; no judge counts more than {MAX_OBJECTS}"
    clauses = Counter(clause.class_name for clause in include)
    placed = {i for i, clause in enumerate(include) if clause.position}
    placed |= {clause.position[1] for clause in include if clause.position}
    for name in dict.fromkeys(include[i].class_name for i in sorted(placed)):
        total = sum(clause.count for clause in include if clause.class_name == name)
        if clauses[name] > 1 and total > MAX_PLACED:
            return (
                f"include asks for {total} {name!r} in {clauses[name]} clauses with positions; "
                f"up to {MAX_PLACED} of one class can be told apart by place"
            )
    return None
