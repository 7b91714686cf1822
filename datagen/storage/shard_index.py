"""The index that is written after a shard's tar: where its samples lie, and facts of each.

So a summary, a pairing or an epoch need not scan a tar. `made_by`, `judged_by` and `paired_by` are
the digests of the folder's configuration that the shard was made under.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field

from sipo.datagen.storage.shard_tar import Members
from sipo.datagen.storage.untrusted_json import Count, Lenient, Share, checked, read_object
from sipo.feedback.prompts.prompt import Tag

CANDIDATES: Literal["candidates"] = "candidates"
PAIRS: Literal["pairs"] = "pairs"
Kind = Literal["candidates", "pairs"]


class CandidateFacts(Lenient):
    members: Members
    prompt: Count  # its number in the folder
    tag: Tag
    score: Share | None
    correct: bool
    failure: str | None


class PairFacts(Lenient):
    """Winner and loser are keys of candidates, which indexes of older folders do not say."""

    members: Members
    prompt: Count
    tag: Tag
    margin: Share
    winner: str = ""
    loser: str = ""


class Tar(Lenient):
    bytes: Count
    sha256: str


class SourceRows(Lenient):
    """What a shard of an import took from the source: how many rows, the texts of its pairs, and
    (row, cause, perhaps a path) of those that gave none."""

    rows: Count
    texts: list[str]
    dropped: list[list[str]]


class ShardIndex(Lenient):
    kind: Kind
    shard: Count
    made_by: str
    tar: Tar


class CandidateIndex(ShardIndex):
    judged_by: str
    samples: dict[str, CandidateFacts]
    import_: Annotated[SourceRows | None, Field(alias="import")] = None


class PairIndex(ShardIndex):
    paired_by: str
    candidates_sha256: str
    ties: Count
    under_margin: Count
    over_cap: Count
    samples: dict[str, PairFacts]


Index = TypeVar("Index", bound=ShardIndex)


def read_index(path: Path, kind: Kind, model: type[Index]) -> Index:
    """The index at `path`. Raises ValueError when it is none, or one of another kind."""
    remedy = "delete it and its tar, then run again"
    row = read_object(path)
    if row is None or row.get("kind") != kind:
        raise ValueError(f"{path} is not an index of {kind}; {remedy}")
    return checked(model, row, path, remedy)


def check_size(tar: Path, index: ShardIndex) -> None:
    """Raises ValueError when the tar is missing or not of the size its index says."""
    try:
        size = tar.stat().st_size
    except FileNotFoundError:
        raise ValueError(
            f"{tar} is missing although its index is there; generate it again"
        ) from None
    if size != index.tar.bytes:
        raise ValueError(
            f"{tar} is truncated or changed: {size} bytes where its index says {index.tar.bytes}; "
            "run the same sipo-data generate again"
        )
