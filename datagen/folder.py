"""A folder of shards: what it was made with, which shards are done, which no longer hold.

A shard is done when its index is there, was made by this folder's command and fits the tar. Three
digests tell commands apart: of what candidates depend on, of the judge, of the pairing.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from sipo.common import files
from sipo.common.files import atomic, write_json
from sipo.datagen.settings import FORMAT
from sipo.datagen.shards import check_size, read_index
from sipo.feedback.picture import Suffix
from sipo.feedback.prompt import Prompt, read_prompts

CANDIDATES, PAIRS = "candidates", "pairs"
SHARD_NAME = re.compile(rf"({CANDIDATES}|{PAIRS})-\d{{6}}\.(tar|json|safetensors)")

only_writer = partial(files.only_writer, command="sipo-data")
"""A context manager of the folder's path."""

_PAIRING = ("policy", "margin", "max_pairs_per_prompt")
_OF_WHOLE_IMPORT = ("prompts", "shards", "rows", "dropped")  # known when the source is read through
_ENCODING = ("sampler", "batch_size", "dtype", "device")
_FLAGS = {
    "backbone.name": "--backbone",
    "backbone.family": "--backbone",
    "backbone.weights_sha256": "--backbone or --weights",
    "prompts.count": "--prompts or --num-prompts",
    "prompts.sha256": "--prompts",
}


class ForeignShardError(ValueError):
    """A shard that another command made. Never overwritten: it may be all there is of it."""


@dataclass(frozen=True)
class ShardFolder:
    path: Path
    config: dict[str, Any]

    @property
    def shards(self) -> int:
        return int(self.config["shards"])

    @property
    def suffix(self) -> Suffix:
        """Of the candidates' pictures."""
        return "mp4" if "fps" in self.config else "png"

    @property
    def made_by(self) -> str:
        """What candidates depend on. The judge's library is none of it."""
        later = _OF_WHOLE_IMPORT if "import" in self.config else ()
        own = {k: v for k, v in self.config.items() if k not in ("judge", *_PAIRING, *later)}
        return _digest(own | {"versions": self.config["versions"] | {"ultralytics": None}})

    @property
    def encoded(self) -> bool:
        """Whether pairs have latents; those of an import have none until `sipo-data encode`."""
        return self.config["backbone"]["family"] is not None

    @property
    def as_imported(self) -> ShardFolder:
        """An imported folder as it was before `sipo-data encode`."""
        return ShardFolder(self.path, self.config | unencoded(self.config["import"]["format"]))

    @property
    def judged_by(self) -> str:
        return _digest(self.config["judge"])

    @property
    def paired_by(self) -> str:
        return _digest([self.config[name] for name in ("judge", *_PAIRING)])

    def tar(self, kind: str, number: int) -> Path:
        return self.path / f"{kind}-{number:06d}.tar"

    def embeddings(self, number: int) -> Path:
        return self.path / f"{PAIRS}-{number:06d}.safetensors"

    def index(self, kind: str, number: int) -> dict[str, Any]:
        """The index of a shard. Raises ValueError for a missing, truncated or foreign one."""
        tar = self.tar(kind, number)
        path = tar.with_suffix(".json")
        if not path.is_file():
            command = "import" if "import" in self.config else "generate"
            raise ValueError(f"{tar} is not complete; run the same sipo-data {command} again")
        index = read_index(path, kind)
        check_size(tar, index)
        if "import" in self.config and index["made_by"] == self.as_imported.made_by != self.made_by:
            raise ValueError(f"{tar} has no latents yet; run the same sipo-data encode again")
        if index["made_by"] != self.made_by or index["shard"] != number:
            raise ForeignShardError(
                f"{tar} is foreign: another command made it than {self.path / 'config.json'} says; "
                "take it out of the folder"
            )
        return index

    @cached_property
    def prompts(self) -> list[Prompt]:
        return read_prompts(self.path / "prompts.jsonl")

    def prompts_of(self, number: int) -> list[tuple[int, Prompt]]:
        """The numbered prompts of a shard."""
        size = self.config["prompts_per_shard"]
        return list(enumerate(self.prompts))[number * size : (number + 1) * size]

    def write_config(self) -> None:
        write_json(self.path / "config.json", self.config, indent=2)


def unencoded(format_name: str) -> dict[str, Any]:
    """What the `config.json` of an import says until `sipo-data encode`."""
    backbone = {"name": format_name, "family": None, "weights_sha256": None}
    return {"backbone": backbone, "versions": {}, **dict.fromkeys(_ENCODING)}


def open_folder(path: str | Path) -> ShardFolder:
    """Raises ValueError when `path` is no folder of `sipo-data`, or an import half done."""
    folder = read_folder(Path(path))
    if folder.config["prompts"]["count"] is None:
        raise ValueError(f"{path} is a stopped import; run the same sipo-data import again")
    return folder


def require_latents(folder: ShardFolder) -> None:
    """Raises ValueError for an imported folder that was not encoded yet."""
    if not folder.encoded:
        raise ValueError(
            f"{folder.path} was imported and has no latents yet; "
            f"run sipo-data encode {folder.path} --backbone NAME first"
        )


def read_folder(path: Path) -> ShardFolder:
    """As `open_folder`, also where the import still goes on."""
    if not path.is_dir():
        raise ValueError(f"shard folder {str(path)!r} does not exist; give one of sipo-data")
    config_path = path / "config.json"
    if not config_path.is_file():
        foreign = sorted(tar.name for tar in path.glob("*.tar"))
        what = f"{foreign[0]}, which sipo-data did not make" if foreign else "no shards"
        raise ValueError(f"folder {str(path)!r} holds {what}; give a folder of sipo-data generate")
    try:
        config = json.loads(config_path.read_bytes())
    except ValueError:
        config = None
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise ValueError(f"{config_path} does not say {FORMAT!r}; give a folder of sipo-data")
    return ShardFolder(path, config)


def claim_folder(path: Path, config: dict[str, Any], prompts: bytes) -> ShardFolder:
    """A folder for this command: new, or one the same command began.

    Raises ValueError that names the first setting that differs.
    """
    folder = ShardFolder(path, config)
    path.mkdir(parents=True, exist_ok=True)
    if (path / "config.json").is_file() or any(path.glob("*.tar")):
        kept = open_folder(path).config
        if any(path.glob(f"{CANDIDATES}-*.json")):
            refuse_difference(path, kept, config)
    with atomic(path / "prompts.jsonl") as file:
        file.write(prompts)
    folder.write_config()
    return folder


def claim_import(path: Path, config: dict[str, Any]) -> ShardFolder:
    """As `claim_folder`, for an import that begins or goes on; `config` knows no totals yet."""
    path.mkdir(parents=True, exist_ok=True)
    folder = ShardFolder(path, config)
    if (path / "config.json").is_file() or any(path.glob("*.tar")):
        kept = read_folder(path)
        if "import" not in kept.config:
            raise ValueError(f"{path} was made by sipo-data generate; give another --out")
        if any(path.glob(f"{CANDIDATES}-*.json")):
            names = ("import", "fps")
            old, new = ({name: c.get(name) for name in names} for c in (kept.config, config))
            refuse_difference(path, old, new)
            return kept
    folder.write_config()
    return folder


def refuse_difference(path: Path, kept: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raises ValueError that names the first setting in which the folder and the command differ."""
    if difference := _first_difference(kept, asked):
        name, old, new = difference
        raise ValueError(
            f"{path} was made with {name} {old}, this command says {new}; "
            "use the same settings to continue it, or another --out"
        )


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def _first_difference(old: Any, new: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """(flag or name, old value, new value) of the first leaf that differs."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*new, *old]):
            path = f"{name}.{key}" if name else key
            if found := _first_difference(old.get(key), new.get(key), path):
                return found
        return None
    if json.dumps(old) == json.dumps(new):
        return None
    if name.startswith("judge."):
        return f"--judge ({name})", old, new
    leaf = name.removeprefix("sampler.")
    plain = f"--{leaf.replace('_', '-')}" if "." not in leaf else leaf
    return _FLAGS.get(name, plain), old, new
