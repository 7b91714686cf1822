"""Which prompts a page shows: the best and the worst, or those that changed most and those that
still fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sipo.geneval.looking.judged_rows import Judged


class Group(NamedTuple):
    title: str
    about: str
    prompts: Sequence[str]  # their rows as JSON


def shared_prompts(evaluations: Sequence[Judged]) -> list[str]:
    """Of all evaluations, in the order of the first."""
    first, *others = evaluations
    return [key for key in first.rows if all(key in other.rows for other in others)]


def groups(evaluations: Sequence[Judged], most: int) -> Iterator[Group]:
    """Groups of at most `most` prompts, none of which is empty; ties are spread over the tags."""
    first, last = evaluations[0], evaluations[-1]
    prompts = shared_prompts(evaluations)
    taken: set[str] = set()

    def pick(wanted: Callable[[str], bool], key: Callable[[str], float]) -> list[str]:
        found = [p for p in prompts if p not in taken and wanted(p)]
        chosen = _spread(found, key, last)[:most]
        taken.update(chosen)
        return chosen

    def gain(prompt: str) -> float:
        return last.share(prompt) - first.share(prompt)

    if len(evaluations) == 1:
        made = [
            Group(
                "Worst prompts",
                "Those with the smallest share of right images; among equals, of each tag in turn.",
                pick(lambda p: last.share(p) < 1, last.share),
            ),
            Group(
                "Best prompts",
                "Those with the largest share of right images; among equals, of each tag in turn.",
                pick(lambda p: last.share(p) > 0, lambda p: -last.share(p)),
            ),
        ]
    else:
        made = [
            Group(
                "What was gained",
                f"Prompts of which {last.name} has more right images than {first.name}, by most.",
                pick(lambda p: gain(p) > 0, lambda p: -gain(p)),
            ),
            Group(
                "What was lost",
                f"Prompts of which {last.name} has fewer right images than {first.name}, by most.",
                pick(lambda p: gain(p) < 0, gain),
            ),
            Group(
                "What still fails",
                f"Of the others those of which {last.name} has the smallest share of right images.",
                pick(lambda p: last.share(p) < 1, last.share),
            ),
        ]
    return (group for group in made if group.prompts)


def _spread(prompts: Sequence[str], key: Callable[[str], float], judged: Judged) -> list[str]:
    """By `key`; those of one value by tag in turn, each tag's in their order."""
    seen: dict[tuple[float, str], int] = {}
    ranks = {}
    for prompt in prompts:
        place = key(prompt), judged.rows[prompt][0].tag
        ranks[prompt] = place[0], seen.setdefault(place, 0)
        seen[place] += 1
    return sorted(prompts, key=ranks.__getitem__)
