"""`config.json`: everything the bytes of a folder of shards depend on, no paths and no times.

One model is what commands make, what is checked before anything in a file is believed, and what
every reader uses. Three parts of it, each with a digest, tell commands apart: what candidates
depend on, the judge, the pairing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from sipo.common.files.writing import write_json
from sipo.datagen.storage.untrusted_json import (
    AtLeastOne,
    Count,
    Lenient,
    Share,
    checked,
    read_object,
)
from sipo.feedback.settings import FrameScore

if TYPE_CHECKING:
    from sipo.backbones.base import Backbone
    from sipo.common.pictures.picture import Suffix

FORMAT = "sipo shards 1"
FILE = "config.json"
MOST_SHARDS = 10**6
"""Their names have six digits."""
PEOPLE = "imported"  # the judge's id where people labelled the pairs
NOBODY = "none"  # and where candidates were imported to be judged
KNOWN_AT_THE_END = ("prompts", "shards", "rows", "dropped")
"""Of an import: when its source is read through."""


class BackboneConfig(Lenient):
    name: str
    family: str | None  # None where imported pairs have no latents yet
    weights_sha256: str | None

    @classmethod
    def of(cls, backbone: Backbone) -> BackboneConfig:
        row = backbone.describe()
        return cls.model_validate(row | {"name": name_of(row["name"])})


class PromptsConfig(Lenient):
    count: Count | None  # None while an import goes on
    sha256: str | None  # of prompts.jsonl
    repeated: Count


class SamplerConfig(Lenient):
    steps: AtLeastOne
    guidance: Annotated[int | float, Field(ge=0)]
    guidance_2: Annotated[int | float, Field(ge=0)] | None = None
    height: AtLeastOne | None
    width: AtLeastOne | None
    frames: AtLeastOne | None = None


class FramesConfig(Lenient):
    """How a judge of images looks at clips."""

    count: AtLeastOne
    score: FrameScore


class JudgeConfig(Lenient):
    """What a judge says of itself; the rest is its own."""

    id: str = "?"
    frames: FramesConfig | None = None
    members: list[JudgeConfig] = Field(default_factory=list)

    @property
    def names(self) -> str:
        """As --judge takes them."""
        return ",".join(one.id for one in self.members or [self])


class ImportConfig(Lenient):
    format: str
    source: str = "?"
    resolution: AtLeastOne
    width: AtLeastOne | None = None
    frames: AtLeastOne | None
    pairs_per_shard: AtLeastOne


class SamplingConfig(Lenient):
    format: str = FORMAT
    backbone: BackboneConfig
    sampler: SamplerConfig | None  # None, as some below, where imported pairs have no latents yet
    fps: AtLeastOne | None = None  # of clips
    prompts: PromptsConfig
    seed: Count
    candidates: AtLeastOne  # of a prompt; with `allocate` on average at most
    allocate: bool = False
    allocated_by: str | None = None  # digest of the judge whose verdicts decided of candidates
    batch_size: AtLeastOne | None
    prompts_per_shard: AtLeastOne
    shards: Annotated[int, Field(ge=0, le=MOST_SHARDS)]
    dtype: str | None
    quantize: str = "no"
    device: str | None


class Opinion(Lenient):
    """What `sipo-data judge` and `pair` change."""

    judge: JudgeConfig
    policy: Literal["all-over-margin", "best-vs-worst", "correct-vs-incorrect"]
    margin: Share
    max_pairs_per_prompt: AtLeastOne


class PartConfig(Lenient):
    """Of a merged folder: what one of those that it was made of says otherwise than the rest."""

    seed: Count
    prompts: PromptsConfig
    shards: Annotated[int, Field(ge=1, le=MOST_SHARDS)]
    batch_size: AtLeastOne | None
    original: Opinion | None = None


class FolderConfig(Opinion, SamplingConfig):
    versions: dict[str, str | None]
    original: Opinion | None = None  # what the folder began with, where it is another now
    import_: Annotated[ImportConfig | None, Field(alias="import")] = None
    merged: list[PartConfig] = Field(default_factory=list)  # their shards follow one another
    rows: Count = 0  # read of an import's source
    dropped: dict[str, Count] = Field(default_factory=dict)  # of those, by cause

    @classmethod
    def read(cls, folder: Path) -> FolderConfig:
        """Raises ValueError that names the file, the place in it and what stands there."""
        path, remedy = (
            folder / FILE,
            "take the folder from a copy, or make it again in another --out",
        )
        row = read_object(path)
        if row is None or row.get("format") != FORMAT:
            raise ValueError(f"{path} does not say {FORMAT!r}; give a folder of sipo-data")
        config = checked(cls, row, path, remedy)
        for part in config.parts:
            count, size = part.prompts.count, part.prompts_per_shard
            if count is None and not config.is_import:
                raise ValueError(f"{path}: prompts.count: no number (got None); {remedy}")
            if count is not None and part.shards != -(-count // size):
                raise ValueError(
                    f"{path}: shards: {part.shards} do not hold prompts.count {count} at "
                    f"prompts_per_shard {size}; {remedy}"
                )
        if sum(part.shards for part in config.parts) != config.shards:
            raise ValueError(f"{path}: shards: {config.shards} are not those of merged; {remedy}")
        return config

    def write(self, folder: Path) -> None:
        write_json(folder / FILE, self.as_read(), indent=2)

    def changed(self, row: Mapping[str, object]) -> FolderConfig:
        return FolderConfig.model_validate({**self.as_read(), **row})

    @property
    def parts(self) -> list[FolderConfig]:
        """What it was merged of, each as its own folder has it; itself where it was not."""
        if not self.merged:
            return [self]
        alike = {
            name: value
            for name, value in self.as_read().items()
            if name not in ("merged", *PartConfig.model_fields)
        }
        return [FolderConfig.model_validate({**alike, **part.as_read()}) for part in self.merged]

    @property
    def is_import(self) -> bool:
        return self.import_ is not None

    @property
    def encoded(self) -> bool:
        """Whether pairs have latents; those of an import have none until `sipo-data encode`."""
        return self.backbone.family is not None

    @property
    def first_candidates(self) -> int:
        """Of every prompt, before verdicts decide which get more."""
        return max(2, self.candidates // 2) if self.allocate else self.candidates

    @property
    def keys_per_prompt(self) -> int:
        """Of candidates: with `allocate` one prompt may get all that a shard has left."""
        return self.candidates * (self.prompts_per_shard if self.allocate else 1)

    @property
    def candidate_fields(self) -> set[str]:
        """What a sample of a candidate consists of beside its picture."""
        return {"json"} | ({"latents.npy"} if self.encoded else set())

    @property
    def at_a_time(self) -> int:
        """Candidates of a batch; where nothing was sampled or encoded, those judged together."""
        return self.batch_size or 16

    @property
    def judged_by_people(self) -> bool:
        """Nothing could bring their verdicts back."""
        return self.judge.id == PEOPLE

    @property
    def imported_unjudged(self) -> bool:
        return (self.original or self).judge.id == NOBODY

    @property
    def suffix(self) -> Suffix:
        """Of pictures that are made here: images or clips."""
        return "png" if self.fps is None else "mp4"

    @property
    def picture_kinds(self) -> tuple[Suffix, ...]:
        """What the candidates' pictures may be: an import keeps JPEG bytes that fit."""
        return ("png", "jpg") if self.fps is None else ("mp4",)

    def sampling_part(self) -> dict[str, object]:
        """What candidates depend on. The judge's library is none of it, nor how many were made at a
        time."""
        later = KNOWN_AT_THE_END if self.is_import else ()
        left_out = {*Opinion.model_fields, "original", *later}
        row = {name: value for name, value in self.as_read().items() if name not in left_out}
        return row | {"versions": self.versions | {"ultralytics": None}, "batch_size": None}

    def source_part(self) -> dict[str, object]:
        """What an import is of, wherever that lies and whatever it is called."""
        source = self.import_.as_read() if self.import_ else {}
        return {"import": source | {"source": None}, "fps": self.fps}

    @property
    def sampling_digest(self) -> str:
        return _digest(self.sampling_part())

    @property
    def older_sampling_digest(self) -> str:
        """Of shards that were made when the batch size belonged to it; the same for an import."""
        return _digest(self.sampling_part() | {"batch_size": self.batch_size})

    @property
    def sampling_digests(self) -> tuple[str, str]:
        """That a shard of this folder may have."""
        return self.sampling_digest, self.older_sampling_digest

    @property
    def pictures_digest(self) -> str:
        """Of what pictures depend on: also the same once latents were added to them.

        Decisions of people are kept under it, so the batch size goes on to belong to it.
        """
        return (self.unencoded() if self.is_import else self).older_sampling_digest

    @property
    def judge_digest(self) -> str:
        return judge_digest(self.judge.as_read())

    @property
    def pairing_digest(self) -> str:
        judge = self.judge.as_read()
        return _digest([judge, self.policy, self.margin, self.max_pairs_per_prompt])

    def opinion(self) -> Opinion:
        row = self.as_read()
        return Opinion.model_validate({name: row[name] for name in Opinion.model_fields})

    def with_opinion(self, row: Mapping[str, object]) -> FolderConfig:
        """Judged or paired otherwise; what the folder began with stays written down."""
        first = self.original or self.opinion()
        config = FolderConfig.model_validate({**self.without_original(), **row})
        return config if config.opinion() == first else config.changed({"original": first})

    def without_original(self) -> dict[str, object]:
        return {name: value for name, value in self.as_read().items() if name != "original"}

    def unencoded(self) -> FolderConfig:
        """Of an import, as it was before `sipo-data encode`."""
        assert self.import_ is not None, "what was sampled has its latents"
        return self.changed(unencoded(self.import_.format))


def judge_digest(judge: Mapping[str, object]) -> str:
    """Of what a judge says of itself."""
    return _digest(judge)


def unencoded(format_name: str) -> dict[str, object]:
    """What the configuration of an import says until `sipo-data encode`."""
    backbone = {"name": format_name, "family": None, "weights_sha256": None}
    encoding = dict.fromkeys(("sampler", "batch_size", "dtype", "device"))
    return {"backbone": backbone, "versions": {}, **encoding}


def name_of(backbone: str) -> str:
    """Of a local folder only its name: where it lies is nothing of the pairs."""
    return Path(backbone).resolve().name if Path(backbone).is_dir() else backbone


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
