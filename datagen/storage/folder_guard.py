"""Whose a folder is: new, or begun by the same command. Another command's is refused, and says why.

All raise ValueError that names the first setting in which the folder and the command differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from sipo.common.files import locks
from sipo.common.files.places import require_place
from sipo.common.files.writing import atomic
from sipo.common.resume_guard import Among, first_difference, option_of, refuse
from sipo.datagen.storage.folder_config import FILE, FolderConfig, JudgeConfig
from sipo.datagen.storage.shard_folder import PROMPTS, ShardFolder, read_folder

only_writer = partial(locks.only_writer, command="sipo-data")
"""A context manager of the folder's path."""
one_of_the_makers = partial(locks.one_of_several, command="sipo-data")
"""The same for a command that several processes may give at once."""

_OPTIONS = {
    "backbone": "--backbone",
    "backbone.weights_sha256": "--backbone or --weights",
    "sampler": "--{leaf}",
    "prompts.count": "--prompts or --num-prompts",
    "prompts.sha256": "--prompts",
    "import": "--{leaf}",
    "import.source_sha256": "SOURCE ({name})",
    "import.format": "FORMAT",
    "allocated_by": "--judge, which --allocate goes by ({name})",
    "judge": "--judge-settings ({name})",
    "judge.names": "--judge",
    "judge.frames.count": "--judged-frames",
    "judge.frames.score": "--frame-score",
}


def claim_folder(path: Path, config: FolderConfig, prompts: bytes) -> ShardFolder:
    """A folder for this `sipo-data generate`."""
    path.mkdir(parents=True, exist_ok=True)
    if kept := _begun_at(path):
        _refuse_other(kept, config.as_read(), "all")
        if kept.config.original:
            config = config.changed({"original": kept.config.original})
        config = config.changed({"batch_size": kept.config.batch_size})  # what it was begun with
    with atomic(path / PROMPTS) as file:
        file.write(prompts)
    config.write(path)
    return ShardFolder(path, config)


def claim_import(path: Path, config: FolderConfig) -> ShardFolder:
    """For an import that begins or goes on; `config` knows no totals yet.

    Nothing is written: a source that gives nothing leaves nothing. What the source is called and
    where it lies is none of what it is.
    """
    if not (kept := _begun_at(path)):
        return ShardFolder(path, config)
    if not kept.config.is_import:
        command = "merge" if kept.config.merged else "generate"
        raise ValueError(f"{path} was made by sipo-data {command}; give another --out")
    refuse_difference(path, kept.config.source_part(), config.source_part())
    if kept.config.judge.id != config.judge.id and not kept.config.imported_unjudged:
        names = kept.config.judge.names
        raise ValueError(f"{path} was judged again, by {names}; import into another --out")
    return kept


def claim_copy(folder: ShardFolder) -> None:
    """For what `sipo-data judge` or `pair` makes of another folder."""
    if kept := _begun_at(folder.path):
        if kept.config.sampling_digest != folder.config.sampling_digest:
            raise ValueError(f"{folder.path} was made of another folder; give another --out")
        refuse_difference(folder.path, kept.config.as_read(), folder.config.as_read())
    folder.config.write(folder.path)


def refuse_early(path: Path, asked: Mapping[str, object]) -> None:
    """As `claim_folder`, by what is known of a configuration before a model is loaded.

    Raises OSError where no folder could be made at `path`.
    """
    require_place(path)
    if kept := _begun_at(path):
        _refuse_other(kept, asked, "asked")


def _refuse_other(kept: ShardFolder, asked: Mapping[str, object], among: Among) -> None:
    if kept.config.merged:
        raise ValueError(f"{kept.path} was made by sipo-data merge; give another --out")
    if kept.config.is_import and "import" not in asked:
        raise ValueError(f"{kept.path} was made by sipo-data import; give another --out")
    refuse_difference(kept.path, kept.config.without_original(), asked, among)


def refuse_difference(
    path: Path, kept: Mapping[str, object], asked: Mapping[str, object], among: Among = "all"
) -> None:
    sides = _with_judge_names(kept), _with_judge_names(asked)
    if difference := first_difference(*sides, among=among):
        refuse(path, _option(difference.name), difference)


def _with_judge_names(row: Mapping[str, object]) -> dict[str, object]:
    """Who judges is told before what is set otherwise in it."""
    judge = row.get("judge")
    if not isinstance(judge, dict):
        return dict(row)
    return {**row, "judge": {"names": JudgeConfig.model_validate(judge).names, **judge}}


def _option(name: str) -> str:
    if name.startswith("judge.") and ".part." in name:
        return f"source file of --judge ({name})"
    if name.startswith("judge.") and name.endswith((".weights", ".weights_sha256")):
        return f"--judge-weights ({name})"
    return option_of(name, _OPTIONS)


def _begun_at(path: Path) -> ShardFolder | None:
    """The folder at `path` if another run finished a shard there; a new command may have the rest.

    Raises ValueError for tars of others.
    """
    if not (path / FILE).is_file() and not any(path.glob("*.tar")):
        return None
    kept = read_folder(path)
    return kept if kept.begun else None
