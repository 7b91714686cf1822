"""Whose box is whose: each clause's own, none counted twice.

A class that one clause asks for is judged as officially: the clause looks at its `count` surest
boxes (djghosh13/geneval, `evaluation/evaluate_images.py`, `evaluate`). There several clauses of one
class ("a red dog and a blue dog") all look at the surest, so that no image is ever right; here they
share the boxes of the class, none of them twice. That is ours.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations

from sipo.feedback.prompts.clause import Clause
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box, relations

Boxes = Mapping[str, Sequence[Box]]
"""By class, surest first."""


def assign(prompt: Prompt, by_class: Boxes) -> list[list[Box]]:
    """Per include clause at most `count` boxes; fewer where the class has no more.

    Of several clauses of one class: boxes that fit all colours and places where there are such, the
    surest first, clause by clause; else boxes of the right colours, and what is missing is made up
    from the others, so that a complaint can say what is there instead.
    """
    names = [clause.class_name for clause in prompt.include]
    shared = {name for name in names if names.count(name) > 1}
    mine = [list(by_class.get(clause.class_name, ())[: clause.count]) for clause in prompt.include]
    for name in sorted(shared):
        numbers = [i for i, other in enumerate(names) if other == name]
        asked = [prompt.include[i] for i in numbers]
        for i, found in zip(numbers, _by_color(asked, by_class.get(name, ())), strict=True):
            mine[i] = found
    numbers = [i for i, name in enumerate(names) if name in shared]
    if _related(prompt.include, numbers):
        for i, found in (_Search(prompt.include, by_class, mine, numbers).run() or {}).items():
            mine[i] = found
    return mine


def targets_first(include: Sequence[Clause]) -> list[int]:
    """The clauses' numbers, each after the one it is placed by (in a circle, begun anywhere)."""
    order: list[int] = []
    for start in range(len(include)):
        chain: list[int] = []
        at: int | None = start
        while at is not None and at not in chain and at not in order:
            chain.append(at)
            position = include[at].position
            at = position[1] if position else None
        order += reversed(chain)
    return order


def holds(relation: str, boxes: Sequence[Box], targets: Sequence[Box]) -> list[bool]:
    """Whether `relation` holds, for every box and target."""
    return [relation in relations(a.xyxy, b.xyxy) for a in boxes for b in targets]


def _by_color(clauses: Sequence[Clause], boxes: Sequence[Box]) -> list[list[Box]]:
    """A colour's boxes go to the clauses that ask for it, the surest of the rest to the others.

    That fills all clauses if anything does: a coloured clause can have no other boxes, and one
    without a colour can have any.
    """
    left = list(boxes)
    mine: list[list[Box]] = [[] for _ in clauses]

    def take(number: int, fits: Sequence[Box]) -> None:
        for box in fits[: clauses[number].count - len(mine[number])]:
            mine[number].append(box)
            left.remove(box)

    for number, clause in enumerate(clauses):
        if clause.color:
            take(number, [box for box in left if box.color == clause.color])
    for number in sorted(range(len(clauses)), key=lambda n: clauses[n].color is not None):
        take(number, list(left))
    return mine


def _related(include: Sequence[Clause], numbers: Sequence[int]) -> bool:
    return any(
        clause.position and (i in numbers or clause.position[1] in numbers)
        for i, clause in enumerate(include)
    )


class _Search:
    """Boxes for the clauses `numbers` by colour and place, those of the other clauses given.

    Exact: clause by clause, every set of its boxes in turn, the surest first. Boxes of a class are
    bits of an integer, in their order. Small by contradictions.MAX_PLACED.
    """

    def __init__(
        self,
        include: Sequence[Clause],
        by_class: Boxes,
        given: Sequence[Sequence[Box]],
        numbers: Sequence[int],
    ) -> None:
        self.include, self.numbers = include, numbers
        self.boxes = [by_class.get(clause.class_name, ()) for clause in include]
        self.domains = {
            i: _bits(include[i].color in (None, box.color) for box in self.boxes[i])
            for i in numbers
        }
        self.leaves: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
        """(clause, place of its box) -> (another clause, the boxes that this leaves it)."""
        for i, clause in enumerate(include):
            if clause.position:
                self._relate(i, *clause.position, given)

    def run(self) -> dict[int, list[Box]] | None:
        return self._extend(list(self.numbers), self.domains, Counter())

    def _extend(
        self, left: list[int], domains: dict[int, int], used: Counter[str]
    ) -> dict[int, list[Box]] | None:
        """Boxes for the clauses that are left, of what `domains` leaves them and is not used."""
        if not left:
            return {}
        i, *later = left
        name, count = self.include[i].class_name, self.include[i].count
        for chosen in combinations(_places(domains[i] & ~used[name]), count):
            rest, taken = dict(domains), Counter(used)
            for place in chosen:
                taken[name] |= 1 << place
                for j, fits in self.leaves[i, place]:
                    rest[j] &= fits
            if all(self._suffices(j, rest[j], taken) for j in later):
                found = self._extend(later, rest, taken)
                if found is not None:
                    return {i: [self.boxes[i][place] for place in chosen]} | found
        return None

    def _suffices(self, number: int, domain: int, taken: Counter[str]) -> bool:
        clause = self.include[number]
        return (domain & ~taken[clause.class_name]).bit_count() >= clause.count

    def _relate(self, i: int, relation: str, j: int, given: Sequence[Sequence[Box]]) -> None:
        """Clause `i` is placed by clause `j`."""
        mine, theirs = self.boxes[i], self.boxes[j]
        if i in self.domains and j in self.domains:
            for place, box in enumerate(mine):
                self.leaves[i, place].append((j, _bits(holds(relation, [box], theirs))))
            for place, box in enumerate(theirs):
                self.leaves[j, place].append((i, _bits(holds(relation, mine, [box]))))
        elif i in self.domains:
            self.domains[i] &= _bits(all(holds(relation, [box], given[j])) for box in mine)
        elif j in self.domains:
            self.domains[j] &= _bits(all(holds(relation, given[i], [box])) for box in theirs)


def _bits(fits: Iterable[bool]) -> int:
    return sum(1 << place for place, fit in enumerate(fits) if fit)


def _places(bits: int) -> list[int]:
    return [place for place in range(bits.bit_length()) if bits >> place & 1]
