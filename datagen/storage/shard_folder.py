"""A folder of shards: what it was made with, which shards are done, which no longer hold.

A shard is done when its index is there, was made by this folder's command and fits the tar. Three
digests tell commands apart: of what candidates depend on, of the judge, of the pairing.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from sipo.common.files import locks
from sipo.common.files.writing import atomic, write_json
from sipo.common.pictures.picture import Suffix
from sipo.datagen.storage.folder_config import FORMAT, check_config, check_facts, read_object
from sipo.datagen.storage.shards import check_size, read_index
from sipo.feedback.prompts.prompt import Prompt, read_prompts

CANDIDATES, PAIRS = "candidates", "pairs"
SHARD_NAME = re.compile(rf"({CANDIDATES}|{PAIRS})-\d{{6}}\.(tar|json|safetensors)")

IMPORTED = "imported"  # the judge's id where people labelled the pairs

only_writer = partial(locks.only_writer, command="sipo-data")
"""A context manager of the folder's path."""

_PAIRING = ("policy", "margin", "max_pairs_per_prompt")
_OPINION = ("judge", *_PAIRING)  # what `sipo-data judge` and `pair` change
_ORIGINAL = "original"  # in config.json: what of that the folder began with
_OF_WHOLE_IMPORT = ("prompts", "shards", "rows", "dropped")  # known when the source is read through
_ENCODING = ("sampler", "batch_size", "dtype", "device")
_FLAGS = {
    "backbone.name": "--backbone",
    "backbone.family": "--backbone",
    "backbone.weights_sha256": "--backbone or --weights",
    "prompts.count": "--prompts or --num-prompts",
    "prompts.sha256": "--prompts",
    "import.source_sha256": "SOURCE (import.source_sha256)",
    "import.format": "FORMAT",
    "judge.frames.count": "--judged-frames",
    "judge.frames.score": "--frame-score",
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
        others = (*_OPINION, _ORIGINAL, *later)
        own = {k: v for k, v in self.config.items() if k not in others}
        return _digest(own | {"versions": self.config["versions"] | {"ultralytics": None}})

    @property
    def pictures_by(self) -> str:
        """What the pictures depend on: also the same once latents were added to them."""
        return (self.as_imported if "import" in self.config else self).made_by

    @property
    def begun(self) -> bool:
        """Whether there are candidates in it that were finished."""
        return any(self.path.glob(f"{CANDIDATES}-*.json"))

    @property
    def labelled(self) -> bool:
        """Whether its verdicts are people's: nothing could bring them back."""
        return bool(self.config["judge"].get("id") == IMPORTED)

    @property
    def original(self) -> dict[str, Any] | None:
        """Judge and pairing that it began with, where they are others now."""
        return self.config.get(_ORIGINAL)

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
        check_facts(index, path)
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
        first = number * size
        return list(enumerate(self.prompts[first : first + size], first))

    def write_config(self) -> None:
        write_json(self.path / "config.json", self.config, indent=2)

    def reopened(self, path: Path, **changed: Any) -> ShardFolder:
        """At `path`, judged or paired otherwise; what the folder began with stays written down."""
        began = {name: self.config[name] for name in _OPINION}
        first = self.original or began
        config = {k: v for k, v in self.config.items() if k != _ORIGINAL} | changed
        if {name: config[name] for name in _OPINION} != first:
            config[_ORIGINAL] = first
        return ShardFolder(path, config)


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
    config = read_object(config_path)
    if config is None or config.get("format") != FORMAT:
        raise ValueError(f"{config_path} does not say {FORMAT!r}; give a folder of sipo-data")
    check_config(config, config_path)
    return ShardFolder(path, config)


def claim_folder(path: Path, config: dict[str, Any], prompts: bytes) -> ShardFolder:
    """A folder for this command: new, or one the same command began.

    Raises ValueError that names the first setting that differs.
    """
    path.mkdir(parents=True, exist_ok=True)
    if kept := _begun_at(path):
        refuse_other(kept, config)
        config = config | ({_ORIGINAL: kept.original} if kept.original else {})
    with atomic(path / "prompts.jsonl") as file:
        file.write(prompts)
    folder = ShardFolder(path, config)
    folder.write_config()
    return folder


def claim_import(path: Path, config: dict[str, Any]) -> ShardFolder:
    """As `claim_folder`, for an import that begins or goes on; `config` knows no totals yet.

    Nothing is written: a source that gives nothing leaves nothing. What the source is called and
    where it lies is none of what it is.
    """
    if not (kept := _begun_at(path)):
        return ShardFolder(path, config)
    if "import" not in kept.config:
        raise ValueError(f"{path} was made by sipo-data generate; give another --out")
    if not kept.labelled:
        judge = judge_names(kept.config["judge"])
        raise ValueError(f"{path} was judged again, by {judge}; import into another --out")
    old, new = (
        {"import": c["import"] | {"source": None}, "fps": c.get("fps")}
        for c in (kept.config, config)
    )
    refuse_difference(path, old, new)
    return kept


def claim_copy(folder: ShardFolder) -> None:
    """As `claim_folder`, for what `sipo-data judge` or `pair` makes of another folder."""
    if kept := _begun_at(folder.path):
        if kept.made_by != folder.made_by:
            raise ValueError(f"{folder.path} was made of another folder; give another --out")
        refuse_difference(folder.path, kept.config, folder.config)
    folder.write_config()


def refuse_early(path: Path, known: dict[str, Any]) -> None:
    """As `claim_folder`, by what is `known` of the new configuration before a model is loaded.

    Raises OSError where no folder could be made at `path`.
    """
    require_place(path)
    if kept := _begun_at(path):
        refuse_other(kept, known, early=True)


def refuse_other(kept: ShardFolder, asked: dict[str, Any], early: bool = False) -> None:
    """Raises ValueError where another command than this sipo-data generate made the folder."""
    if "import" in kept.config and "import" not in asked:
        raise ValueError(f"{kept.path} was made by sipo-data import; give another --out")
    old = {name: value for name, value in kept.config.items() if name != _ORIGINAL}
    refuse_difference(kept.path, of_the_same(old, asked) if early else old, asked)


def refuse_difference(path: Path, kept: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raises ValueError that names the first setting in which the folder and the command differ."""
    if difference := _first_difference(kept, asked):
        name, old, new = difference
        raise ValueError(
            f"{path} was made with {name} {old}, this command says {new}; "
            "use the same settings to continue it, or another --out"
        )


def require_place(path: Path) -> None:
    """Raises OSError where no folder can be made or written at `path`; makes none."""
    whole = path.absolute()
    place = next(part for part in (whole, *whole.parents) if part.exists())
    if not place.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(place))
    if not os.access(place, os.W_OK | os.X_OK):
        mounted = hasattr(os, "statvfs") and os.statvfs(place).f_flag & os.ST_RDONLY
        code = errno.EROFS if mounted else errno.EACCES
        raise OSError(code, os.strerror(code), str(path))


def require_file_place(path: Path) -> None:
    """As `require_place`, for a file in a folder that is there."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not path.absolute().parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    require_place(path.parent)


def _begun_at(path: Path) -> ShardFolder | None:
    """The folder at `path` if another run finished a shard there; a new command may have the rest.

    Raises ValueError for tars of others.
    """
    if not (path / "config.json").is_file() and not any(path.glob("*.tar")):
        return None
    kept = read_folder(path)
    return kept if kept.begun else None


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]


def of_the_same(kept: Any, asked: Any) -> Any:
    """Of what is kept only what is asked for by name."""
    if isinstance(kept, dict) and isinstance(asked, dict):
        return {name: of_the_same(kept.get(name), value) for name, value in asked.items()}
    if isinstance(kept, list) and isinstance(asked, list) and len(kept) == len(asked):
        return [of_the_same(old, new) for old, new in zip(kept, asked, strict=True)]
    return kept


def _first_difference(old: Any, new: Any, name: str = "") -> tuple[str, Any, Any] | None:
    """(flag or name, old value, new value) of the first leaf that differs."""
    if isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        old, new = (dict(enumerate(value)) for value in (old, new))
    if isinstance(old, dict) and isinstance(new, dict):
        if name == "judge" and judge_names(old) != judge_names(new):
            return "--judge", judge_names(old), judge_names(new)
        for key in dict.fromkeys([*new, *old]):
            path = f"{name}.{key}" if name else str(key)
            if found := _first_difference(old.get(key), new.get(key), path):
                return found
        return None
    if json.dumps(old) == json.dumps(new):
        return None
    return _flag(name), old, new


def judge_names(described: dict[str, Any]) -> str:
    """As --judge takes them."""
    return ",".join(one.get("id", "?") for one in described.get("members") or [described])


def _flag(name: str) -> str:
    """The option that a place in `config.json` comes from."""
    if name in _FLAGS:
        return _FLAGS[name]
    if name.startswith("judge."):
        if ".part." in name:
            return f"source file of --judge ({name})"
        of_weights = name.rpartition(".")[2] in ("weights", "weights_sha256")
        return f"{'--judge-weights' if of_weights else '--judge-settings'} ({name})"
    leaf = name.removeprefix("sampler.").removeprefix("import.")
    return leaf if "." in leaf else f"--{leaf.replace('_', '-')}"
