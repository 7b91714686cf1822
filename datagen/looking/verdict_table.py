"""The verdicts of a folder as flat records, for tables of any kind."""

from __future__ import annotations

from pathlib import Path

from sipo.datagen.generation.candidates import judged_of
from sipo.datagen.generation.types import Judged
from sipo.datagen.storage.shard_folder import open_folder


def read_verdicts(path: str | Path) -> list[dict[str, object]]:
    """One a candidate, in the folder's order. Raises ValueError for a shard that is not done."""
    folder = open_folder(path)
    return [_record(judged) for number in folder.numbers for judged in judged_of(folder, number)]


def _record(judged: Judged) -> dict[str, object]:
    request, verdict = judged.request, judged.verdict
    return {
        "key": request.key,
        "text": request.prompt.text,
        "tag": request.prompt.tag,
        "candidate": request.index,
        "seed": request.seed,
        "score": verdict.score,
        "correct": verdict.correct,
        "reason": verdict.reason,
        "kinds": sorted({part.kind for c in verdict.complaints for part in c.parts()}),
    }
