"""What a page shows of prompts: verdicts, pairs and pictures, read shard by shard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from sipo.common.files.urls import near
from sipo.common.pictures.picture import Suffix
from sipo.datagen.looking.full_pair import FullPair
from sipo.datagen.looking.view_choice import ShownPrompt, keeps_candidates
from sipo.datagen.storage.decisions import Decision, Decisions, names_of
from sipo.datagen.storage.pair_pictures import ROLES, StoredPicture, pair_pictures, picture_in
from sipo.datagen.storage.sample_json import CandidateJson, read_row
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES, PAIRS
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict


@dataclass(frozen=True)
class ShownCandidate:
    key: str
    verdict: Verdict
    picture: bytes
    suffix: Suffix


@dataclass(frozen=True)
class ShownPair:
    """`winner` and `loser` are places in the candidates of its prompt."""

    key: str
    winner: int
    loser: int
    margin: float
    decision: Decision | None


@dataclass(frozen=True)
class PromptRow:
    """A prompt with its candidates, the best first, those that could not be judged last."""

    prompt: Prompt
    candidates: list[ShownCandidate]
    pairs: list[ShownPair]


def prompt_rows(folder: ShardFolder, chosen: Sequence[ShownPrompt]) -> Iterator[PromptRow]:
    """In the order of `chosen`, whose shards follow one another."""
    decisions = Decisions(folder)
    for number, group in groupby(chosen, key=lambda one: one.number):
        yield from _rows_of(folder, number, list(group), decisions)


def _rows_of(
    folder: ShardFolder, number: int, chosen: Sequence[ShownPrompt], decisions: Decisions
) -> Iterator[PromptRow]:
    tar, samples = folder.tar(PAIRS, number), folder.pairs(number).samples
    edits = {prompt.key: prompt for _, prompt in folder.prompts_of(number) if prompt.before}
    named = names_of(folder, number) if decisions else {}
    with near(tar):
        pairs = {
            key: read_row(tar, samples[key].members, FullPair)
            for one in chosen
            for key in one.pairs
        }
        if not keeps_candidates(folder, number):
            found = _named_by(folder, number, pairs)
    if keeps_candidates(folder, number):
        found = _kept(folder, number, [key for one in chosen for key in one.candidates])
    for one in chosen:
        of_pairs = (side.key for key in one.pairs for side in (pairs[key].winner, pairs[key].loser))
        keys = dict.fromkeys((*one.candidates, *of_pairs))
        mine = sorted((found[key] for key in keys if key in found), key=_rank)
        places = {shown.key: place for place, (_, shown) in enumerate(mine)}
        yield PromptRow(
            edits.get(mine[0][0].key, mine[0][0]),  # with its picture
            [shown for _, shown in mine],
            [
                ShownPair(
                    key,
                    places[pairs[key].winner.key],
                    places[pairs[key].loser.key],
                    pairs[key].margin,
                    decisions.of(named[key]) if decisions else None,
                )
                for key in one.pairs
            ],
        )


Found = tuple[Prompt, ShownCandidate]


def _rank(found: Found) -> tuple[float, str]:
    score = found[1].verdict.score
    return (1.0 if score is None else -score), found[1].key


def _kept(folder: ShardFolder, number: int, keys: Sequence[str]) -> dict[str, Found]:
    tar, samples = folder.tar(CANDIDATES, number), folder.candidates(number).samples
    found = {}
    with near(tar):
        for key in keys:
            members = samples[key].members
            suffix = picture_in(folder.config, members)
            if suffix is None:
                raise ValueError(f"{tar}: {key} has no picture; see sipo-data validate")
            row = read_row(tar, members, CandidateJson)
            picture = StoredPicture(tar, suffix, members[suffix]).read()
            found[key] = row.prompt, ShownCandidate(key, row.verdict, picture, suffix)
    return found


def _named_by(folder: ShardFolder, number: int, pairs: dict[str, FullPair]) -> dict[str, Found]:
    pictures, found = pair_pictures(folder, number), {}
    for key, pair in pairs.items():
        for role, side in zip(ROLES, (pair.winner, pair.loser), strict=True):
            stored = pictures[key][role]
            shown = ShownCandidate(side.key, side.verdict, stored.read(), stored.suffix)
            found[side.key] = pair.prompt, shown
    return found
