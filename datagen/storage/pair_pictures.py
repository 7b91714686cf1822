"""Where the pictures of pairs lie: of an import they are kept once, with the candidates.

What was sampled has them in the tar of pairs too, as imports had that were made before.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from sipo.common.pictures.picture import Suffix
from sipo.datagen.storage.folder_config import FolderConfig
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import CANDIDATES, PAIRS
from sipo.datagen.storage.shard_tar import Place, read_fields

ROLES = ("winner", "loser")


class StoredPicture(NamedTuple):
    tar: Path
    suffix: Suffix
    place: Place

    def read(self) -> bytes:
        return read_fields(self.tar, {self.suffix: self.place})[self.suffix]


def picture_in(config: FolderConfig, fields: Iterable[str], of: str = "") -> Suffix | None:
    """The kind of picture that a sample has, if any; `of` stands before its name."""
    names = set(fields)
    return next((suffix for suffix in config.picture_kinds if of + suffix in names), None)


def pair_pictures(folder: ShardFolder, number: int) -> dict[str, dict[str, StoredPicture]]:
    """Winner's and loser's of the pairs of a shard, by their keys.

    Raises ValueError where one is not there.
    """
    config, pairs_tar = folder.config, folder.tar(PAIRS, number)
    candidates = folder.candidates(number).samples if config.is_import else {}
    found: dict[str, dict[str, StoredPicture]] = {}
    for key, facts in folder.pairs(number).samples.items():
        found[key] = {}
        for role, candidate in zip(ROLES, (facts.winner, facts.loser), strict=True):
            place = _in(config, pairs_tar, facts.members, f"{role}.")
            if place is None and candidate in candidates:
                tar = folder.tar(CANDIDATES, number)
                place = _in(config, tar, candidates[candidate].members)
            if place is None:
                raise ValueError(
                    f"{pairs_tar}: the {role} of {key} has no picture; see sipo-data validate"
                )
            found[key][role] = place
    return found


def _in(
    config: FolderConfig, tar: Path, members: dict[str, Place], of: str = ""
) -> StoredPicture | None:
    suffix = picture_in(config, members, of)
    return suffix and StoredPicture(tar, suffix, members[of + suffix])
