"""The verdicts of a folder as flat records, for tables of any kind."""

from __future__ import annotations

from pathlib import Path

from sipo.datagen.storage.sample_json import CandidateJson, candidate_rows
from sipo.datagen.storage.shard_folder import open_folder


def read_verdicts(path: str | Path) -> list[dict[str, object]]:
    """One a candidate, in the folder's order. Raises ValueError for a shard that is not done."""
    folder = open_folder(path)
    return [
        _record(key, row)
        for number in folder.numbers
        for key, row in candidate_rows(folder, number)
    ]


def _record(key: str, row: CandidateJson) -> dict[str, object]:
    verdict = row.verdict
    return {
        "key": key,
        "text": row.prompt.text,
        "tag": row.prompt.tag,
        "candidate": row.candidate,
        "seed": row.seed,
        "score": verdict.score,
        "correct": verdict.correct,
        "reason": verdict.reason,
        "kinds": sorted({part.kind for c in verdict.complaints for part in c.parts()}),
    }
