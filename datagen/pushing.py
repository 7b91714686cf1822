"""`sipo-data push`: a folder of shards as a dataset on the hub.

File by file, and not by the client's upload_large_folder: that would leave its own notes in the
folder and hash every tar, while the indexes here have the hash of each tar already, tell which
shards are finished, and make a second push send what is missing and nothing else.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from sipo.backbones.loading.about_model import Licence
from sipo.common.files.locks import is_written_to
from sipo.common.hub_upload import (
    Outgoing,
    Remote,
    address,
    files_there,
    open_repository,
    plan_lines,
    upload,
)
from sipo.common.markdown_card import CARD
from sipo.datagen.storage.dataset_card import licence_of_pictures, write_dataset_card
from sipo.datagen.storage.decisions import REVIEW
from sipo.datagen.storage.folder_config import FILE, FolderConfig
from sipo.datagen.storage.folder_summary import FolderSummary, summarize
from sipo.datagen.storage.shard_folder import PROMPTS, ShardFolder, open_folder
from sipo.datagen.storage.shard_index import CANDIDATES, PAIRS

SUMMARY = "summary.json"
OPTION = "--repo-id"


def push_folder(
    shards: Path,
    name: str,
    private: bool,
    licence: str | None,
    say: Callable[[str], object],
    dry_run: bool = False,
) -> None:
    """Finished shards, the prompts, and a card that says what they are.

    Raises ValueError for a folder that is being written to, for pictures whose licence nobody
    says, and for a repository that holds the shards of another command.
    """
    folder = open_folder(shards)
    if is_written_to(shards):
        raise ValueError(f"sipo-data is writing to {str(shards)!r}; wait for it to end")
    known = Licence(licence) if licence else licence_of_pictures(folder.config)
    if known is None:
        raise ValueError(
            f"nobody says what the licence of the pictures in {str(shards)!r} is; give --license "
            "with the hub's identifier of it (--license unknown says that you do not know)"
        )
    done, open_ = _finished(folder)
    if not done:
        raise ValueError(f"{str(shards)!r} has no finished shard; run the same command again first")
    chosen = ShardFolder(folder.path, folder.config, tuple(done))
    summary = summarize(chosen)
    first, last = _ends(chosen, summary, known)
    files = [*first, *(one for number in done for one in _shard(chosen, number)), *last]
    say(f"licence of the pictures: {known}" + ("" if licence else " (the base's)"))
    if open_:
        say(f"{len(open_)} of {folder.config.shards} shards are not finished, and stay here")
    if any(one.name == REVIEW for one in files):
        say(f"{REVIEW} goes with them: it has the names that raters gave")
    if dry_run:
        for line in plan_lines(name, "dataset", private, files):
            say(line)
        return
    repository = open_repository(name, "dataset", private, OPTION)
    there = files_there(repository, "dataset", OPTION)
    _require_same_shards(repository, folder.config, there)
    sent = upload(repository, "dataset", files, there, OPTION, say)
    say(f"{sent} of {len(files)} files were new: {address(repository, 'dataset')}")


def _finished(folder: ShardFolder) -> tuple[list[int], list[int]]:
    """Numbers of shards with candidates and pairs that belong together, and of the others."""
    done: list[int] = []
    others: list[int] = []
    for number in folder.numbers:
        (done if _is_finished(folder, number) else others).append(number)
    return done, others


def _is_finished(folder: ShardFolder, number: int) -> bool:
    try:
        candidates, pairs = folder.candidates(number), folder.pairs(number)
    except ValueError:
        return False
    whole = folder.pairs_are_of(pairs, candidates)
    return whole and (not folder.config.encoded or folder.has_embeddings(number))


def _shard(folder: ShardFolder, number: int) -> Iterator[Outgoing]:
    """Each tar before the index that says it is there."""
    hashes = {
        CANDIDATES: folder.candidates(number).tar.sha256,
        PAIRS: folder.pairs(number).tar.sha256,
    }
    for kind in (CANDIDATES, PAIRS):
        tar = folder.tar(kind, number)
        yield Outgoing(tar.name, tar, hashes[kind])
        index = tar.with_suffix(".json")
        yield Outgoing(index.name, index)
    if (embeddings := folder.embeddings(number)).is_file():
        yield Outgoing(embeddings.name, embeddings)


def _ends(
    folder: ShardFolder, summary: FolderSummary, licence: Licence
) -> tuple[list[Outgoing], list[Outgoing]]:
    """What goes first, so that a push that was stopped says what it is of, and what goes last."""
    first = [Outgoing(name, folder.path / name) for name in (FILE, PROMPTS)]
    first += [Outgoing(REVIEW, folder.path / REVIEW)] * (folder.path / REVIEW).is_file()
    told = summary.to_dict()
    with tempfile.TemporaryDirectory() as beside:
        card = write_dataset_card(folder, told, licence, Path(beside)).read_bytes()
    text = json.dumps(told, indent=2, sort_keys=True).encode() + b"\n"
    return first, [Outgoing(SUMMARY, text), Outgoing(CARD, card)]


def _require_same_shards(repository: str, config: FolderConfig, there: dict[str, Remote]) -> None:
    """Raises ValueError for a repository of shards that another command made."""
    if FILE not in there:
        if any(name.endswith(".tar") for name in there):
            raise ValueError(
                f"{OPTION} {repository!r} holds tars and no {FILE} of sipo-data; give another name"
            )
        return
    from huggingface_hub import hf_hub_download

    with tempfile.TemporaryDirectory() as beside:
        hf_hub_download(repository, FILE, repo_type="dataset", local_dir=beside)
        before = FolderConfig.read(Path(beside))
    if before.sampling_digest != config.sampling_digest:
        raise ValueError(
            f"{OPTION} {repository!r} holds the shards of another command; give another name"
        )
