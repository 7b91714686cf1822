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
    chosen: dict[int, ShownPrompt] = {}
    pictures, pairs = 0, 0
    for place in sorted(range(len(prompts)), key=lambda n: n * _GOLDEN % 1):
        one = prompts[place]
        if most_pairs is not None:
            one = replace(one, pairs=one.pairs[: most_pairs - pairs])
        pictures, pairs = pictures + len(one.candidates), pairs + len(one.pairs)
        if chosen and pictures > most_pictures:
            break
        chosen[place] = one
        if pairs == most_pairs:
            break
    shown = tuple(chosen[place] for place in sorted(chosen))
    return Choice(shown, len(prompts), sum(len(one.pairs) for one in prompts))


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
