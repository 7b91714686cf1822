"""What `config.json` and the index of a shard must look like before anything in them is believed.

They are read as data of strangers: a number may be a list, a list may be nested ten thousand deep.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sipo.common.files.strict_json import load_json
from sipo.feedback.prompts.prompt import Tag

FORMAT = "sipo shards 1"
MOST_SHARDS = 10**6
"""Their names have six digits."""

_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Side = Annotated[int, Field(ge=1, lt=2**63)]
_Place = Annotated[list[_Count], Field(min_length=2, max_length=2)]  # offset, bytes
_Share = Annotated[float, Field(ge=0, le=1)]
_Policy = Literal["all-over-margin", "best-vs-worst", "correct-vs-incorrect"]


class _Lenient(BaseModel):
    """Types are taken at their word ("3" is no number); what is not named here may be there."""

    model_config = ConfigDict(strict=True, extra="allow", allow_inf_nan=False)


class _Backbone(_Lenient):
    name: str
    family: str | None
    weights_sha256: str | None


class _Prompts(_Lenient):
    count: _Count | None
    sha256: str | None
    repeated: _Count


class _Sampler(_Lenient):
    steps: _Side
    guidance: Annotated[float, Field(ge=0)]
    height: _Side | None
    width: _Side | None
    frames: _Side | None = None


class _Frames(_Lenient):
    count: _Side
    score: str


class _Judge(_Lenient):
    id: str = "?"
    frames: _Frames | None = None
    members: list[_Judge] = Field(default_factory=list)


class _Import(_Lenient):
    format: str
    resolution: _Side
    width: _Side | None = None
    frames: _Side | None
    pairs_per_shard: _Side


class _Opinion(_Lenient):
    judge: _Judge
    policy: _Policy
    margin: _Share
    max_pairs_per_prompt: _Side


class _Config(_Opinion):
    backbone: _Backbone
    sampler: _Sampler | None
    fps: _Side | None = None
    prompts: _Prompts
    seed: _Count
    candidates: _Side
    batch_size: _Side | None
    prompts_per_shard: _Side
    shards: Annotated[int, Field(ge=0, le=MOST_SHARDS)]
    dtype: str | None
    device: str | None
    versions: dict[str, str | None]
    original: _Opinion | None = None
    import_: Annotated[_Import | None, Field(alias="import")] = None
    rows: _Count = 0
    dropped: dict[str, _Count] = Field(default_factory=dict)


class _Sample(_Lenient):
    members: dict[str, _Place]


class _Tar(_Lenient):
    bytes: _Count
    sha256: str


class _Index(_Lenient):
    kind: str
    tar: _Tar
    samples: dict[str, _Sample]


class _Candidate(_Lenient):
    prompt: _Count
    tag: Tag
    score: _Share | None
    correct: bool
    failure: str | None


class _Pair(_Lenient):
    prompt: _Count
    tag: Tag
    margin: _Share
    winner: str = ""
    loser: str = ""


class _Of(_Lenient):
    shard: _Count
    made_by: str


class _OfCandidates(_Of):
    judged_by: str
    samples: dict[str, _Candidate]


class _OfPairs(_Of):
    paired_by: str
    candidates_sha256: str
    ties: _Count
    under_margin: _Count
    over_cap: _Count
    samples: dict[str, _Pair]


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file; None where there is another thing in it."""
    try:
        value = load_json(path.read_bytes())
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def check_config(config: dict[str, Any], path: Path) -> None:
    """Raises ValueError that names the file, the place in it and what stands there."""
    remedy = "take the folder from a copy, or make it again in another --out"
    _check(_Config, config, path, remedy)
    count, size = config["prompts"]["count"], config["prompts_per_shard"]
    shards = config["shards"]
    if count is None and "import" not in config:
        raise ValueError(f"{path}: prompts.count: no number (got None); {remedy}")
    if count is not None and shards != -(-count // size):
        raise ValueError(
            f"{path}: shards: {shards} do not hold prompts.count {count} at prompts_per_shard "
            f"{size}; {remedy}"
        )


def check_index(index: dict[str, Any], path: Path) -> None:
    """As `check_config`, of what every shard's index says."""
    _check(_Index, index, path, "delete it and its tar, then run again")


def check_facts(index: dict[str, Any], path: Path) -> None:
    """As `check_config`, of what an index of candidates or of pairs says of them."""
    model = _OfCandidates if index["kind"] == "candidates" else _OfPairs
    _check(model, index, path, "delete it and its tar, then run again")


def _check(model: type[BaseModel], value: dict[str, Any], path: Path, remedy: str) -> None:
    try:
        model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])[:80]
        found = f"{first['msg']} (got {str(first['input'])[:80]!r})"
        raise ValueError(f"{path}: {field}: {found}; {remedy}") from None
