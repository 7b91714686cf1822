"""A run's policy on the hub: `--push_to_hub` at the end of a run, `sipo-train push` at any time."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from sipo.backbones.loading.trained_weights import DENOISERS, LORA_FILE
from sipo.common.files.text import read_text
from sipo.common.files.urls import place_of
from sipo.common.files.working_folders import working_folder
from sipo.common.hub_upload import (
    Outgoing,
    address,
    files_there,
    open_repository,
    plan_lines,
    upload,
)
from sipo.common.markdown_card import CARD
from sipo.train.checkpoint_files import SUMMARY
from sipo.train.settings import TrainSettings
from sipo.train.sharing.loading_code import at
from sipo.train.sharing.model_card import write_model_card

_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+\.(?:png|jpg|webp))\)|url: (\S+\.(?:png|jpg|webp))")
LOG = "log.jsonl"


def repository_name(settings: TrainSettings) -> str:
    """--hub_model_id, else the run folder's name, as diffusers' scripts have it."""
    return settings.hub_model_id or place_of(settings.out).resolve().name


def begin_push(settings: TrainSettings) -> None:
    """Before hours of work: the repository is there, and may be written to."""
    if settings.push_to_hub:
        open_repository(repository_name(settings), "model", settings.hub_private, "--push_to_hub")


def end_push(settings: TrainSettings, say: Callable[[str], object]) -> None:
    if settings.push_to_hub:
        name, private = repository_name(settings), settings.hub_private
        push_run(working_folder(settings.out), name, private, say, "--push_to_hub")


def push_run(
    run: Path,
    name: str,
    private: bool,
    say: Callable[[str], object],
    option: str = "--repo-id",
    dry_run: bool = False,
) -> None:
    """Policy, card, its pictures and the log. Raises ValueError for a run that is not finished."""
    if not (run / SUMMARY).is_file():
        raise ValueError(
            f"{str(run)!r} is no finished run; run the same sipo-train again, and push then"
        )
    if not (run / CARD).is_file() and not dry_run:
        write_model_card(run)
    if dry_run:
        for line in plan_lines(name, "model", private, files_of(run, name)):
            say(line)
        return
    repository = open_repository(name, "model", private, option)
    files = files_of(run, repository)
    sent = upload(repository, "model", files, files_there(repository, "model", option), option, say)
    say(f"{sent} of {len(files)} files were new: {address(repository, 'model')}")


def files_of(run: Path, repository: str) -> list[Outgoing]:
    """What would be pushed: no settings file, no checkpoint, nothing with a path of this machine.

    Raises ValueError where there is no policy.
    """
    policy = [run / LORA_FILE] if (run / LORA_FILE).is_file() else []
    for name in DENOISERS:
        policy += sorted(path for path in (run / name).glob("*") if path.is_file())
    if not policy:
        raise ValueError(f"{str(run)!r} has no policy in it; give a run that sipo-train finished")
    files = [Outgoing(path.relative_to(run).as_posix(), path) for path in policy]
    if (run / LOG).is_file():
        files.append(Outgoing(LOG, run / LOG))
    if not (run / CARD).is_file():
        return files
    text = read_text(run / CARD, "card")
    files += [Outgoing(name, run / name) for name in pictures_of(run, text)]
    return [*files, Outgoing(CARD, at(text, repository).encode())]


def pictures_of(run: Path, card: str) -> list[str]:
    """Those that the card shows, inside the run folder."""
    named = dict.fromkeys(one or other for one, other in _PICTURE.findall(card))
    inside = run.resolve()
    return [
        name
        for name in named
        if (run / name).is_file() and (run / name).resolve().is_relative_to(inside)
    ]
