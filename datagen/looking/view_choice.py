"""Which prompts of a folder a page shows: all of them, or as many as it can hold, evenly taken.

From the indexes alone: nothing is read of a tar.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES

_GOLDEN = 0.6180339887498949  # multiples of it, modulo 1, are spread evenly (Weyl)


@dataclass(frozen=True)
class ShownPrompt:
    """A prompt's candidates and pairs, by their keys in the shard `number`.

    Where candidates are not kept, they are those that pairs name.
    """

    number: int
    prompt: int
    candidates: tuple[str, ...] = ()
    pairs: tuple[str, ...] = field(default=())


@dataclass(frozen=True)
class Choice:
    """`prompts` in the folder's order, and of how many prompts and pairs they are."""

    prompts: tuple[ShownPrompt, ...]
    of_prompts: int
    of_pairs: int

    @property
    def pairs(self) -> int:
        return sum(len(one.pairs) for one in self.prompts)


def keeps_candidates(folder: ShardFolder, number: int) -> bool:
    """Training needs pairs alone, so a copy may have nothing else."""
    tar = folder.tar(CANDIDATES, number)
    return tar.exists() or tar.with_suffix(".json").exists()


def choose(folder: ShardFolder, most_pictures: int, most_pairs: int | None = None) -> Choice:
    """Raises ValueError for a shard that is not done."""
    prompts = [one for number in folder.numbers for one in _prompts_of(folder, number)]
    pairs = sum(len(one.pairs) for one in prompts)
    few = prompts if most_pairs is None else _with_pairs(prompts, min(most_pairs, pairs))
    chosen: dict[int, ShownPrompt] = {}
    pictures = 0
    for place in sorted(range(len(few)), key=lambda n: n * _GOLDEN % 1):
        pictures += len(few[place].candidates)
        if chosen and pictures > most_pictures:
            break
        chosen[place] = few[place]
    return Choice(tuple(chosen[place] for place in sorted(chosen)), len(prompts), pairs)


def _with_pairs(prompts: Sequence[ShownPrompt], count: int) -> list[ShownPrompt]:
    """The prompts of `count` pairs, evenly taken, with these alone."""
    places = [(place, key) for place, one in enumerate(prompts) for key in one.pairs]
    if count == len(places):
        return list(prompts)
    taken: dict[int, list[str]] = {}
    for number in range(count):
        place, key = places[number * len(places) // count]
        taken.setdefault(place, []).append(key)
    return [replace(prompts[place], pairs=tuple(keys)) for place, keys in taken.items()]


def _prompts_of(folder: ShardFolder, number: int) -> Sequence[ShownPrompt]:
    candidates: dict[int, list[str]] = {}
    pairs: dict[int, list[str]] = {}
    kept = keeps_candidates(folder, number)
    if kept:
        for key, facts in folder.candidates(number).samples.items():
            candidates.setdefault(facts.prompt, []).append(key)
    for key, pair in folder.pairs(number).samples.items():
        pairs.setdefault(pair.prompt, []).append(key)
        if not kept:
            mine = candidates.setdefault(pair.prompt, [])
            mine += [side for side in (pair.winner, pair.loser) if side not in mine]
    return [
        ShownPrompt(number, prompt, tuple(keys), tuple(pairs.get(prompt, ())))
        for prompt, keys in sorted(candidates.items())
    ]
