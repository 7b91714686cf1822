"""What a round is trained on: its own shards, and a share of earlier rounds'.

With --refresh a round has several folders of shards, each of the policy as it was then:
`shards`, `shards-2`, ... of the first training, `shards-2-2`, ... of the one after it was rejected.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from sipo.datagen.storage.shard_folder import ShardFolder, open_folder
from sipo.loop.attempts import Attempt
from sipo.loop.settings import LoopSettings

Shard = tuple[ShardFolder, int]


def turns(settings: LoopSettings, steps: int) -> int:
    """How often a round samples, where it is trained for so many steps."""
    return -(-steps // settings.refresh) if settings.refresh else 1


def shards_name(attempt: Attempt, turn: int) -> str:
    """The folder in the loop's. The first is the round's, whichever training learns from it."""
    return attempt.name(f"shards-{turn}") if turn > 1 else Attempt(attempt.round).name("shards")


def training_data(settings: LoopSettings, attempt: Attempt, turn: int = 1) -> list[str]:
    """Folders for --data: those up to this turn, then what is mixed with each."""
    ours = [settings.out / shards_name(attempt, number) for number in range(1, turn + 1)]
    earlier = [
        folder
        for number in range(attempt.round - 1, 0, -1)
        for folder in sorted((settings.out / f"round-{number}").glob("shards*"))
    ]
    mixed: list[str] = []
    if settings.replay:
        mixed = replayed(settings, attempt.round, ours[0], earlier)
    elif settings.start == "base":
        mixed = [_text(folder, open_folder(folder).numbers) for folder in earlier]
    return [*map(str, ours), *mixed]


def replayed(settings: LoopSettings, number: int, ours: Path, earlier: Sequence[Path]) -> list[str]:
    """Shards of earlier rounds, in an order that seed and round decide, until their pairs are the
    share of all pairs that --replay asks for, or all that there are.
    """
    wanted = settings.replay / (1 - settings.replay) * _pairs_of(open_folder(ours))
    shards = [(folder, n) for folder in map(open_folder, earlier) for n in folder.numbers]
    shards.sort(key=lambda shard: _place(settings, number, shard))
    sums = accumulate(len(folder.pairs(n).samples) for folder, n in shards)
    enough = sum(total < wanted for total in sums) + 1
    chosen: dict[Path, list[int]] = {}
    for folder, n in shards[:enough]:
        chosen.setdefault(folder.path, []).append(n)
    return [_text(path, sorted(numbers)) for path, numbers in sorted(chosen.items())]


def _place(settings: LoopSettings, number: int, shard: Shard) -> bytes:
    folder, n = shard
    name = folder.path.relative_to(settings.out).as_posix()
    return hashlib.sha256(f"{settings.seed} {number} {name} {n}".encode()).digest()


def _pairs_of(folder: ShardFolder) -> int:
    return sum(len(folder.pairs(number).samples) for number in folder.numbers)


def _text(folder: Path, numbers: Sequence[int]) -> str:
    """Shards by their numbers: with --refresh they go with every turn."""
    return f"{folder}:{','.join(map(str, numbers))}"
