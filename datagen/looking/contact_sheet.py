"""A contact sheet: winner beside loser, with prompt, scores and what the loser got wrong."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sipo.common.pictures.picture import read_clip, strip
from sipo.datagen.storage.pair_pictures import StoredPicture, pair_pictures
from sipo.datagen.storage.sample_json import PairJson, PairSide, read_row
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import PAIRS
from sipo.datagen.storage.shard_tar import Members
from sipo.pages.html import data_uri, jpeg_uri, render

_STRIP_PX = 480  # three frames wide


class Row(NamedTuple):
    key: str
    pair: PairJson
    sides: list[tuple[str, PairSide]]  # each with its picture as a data URI


def contact_sheet(folder: ShardFolder, rows: int) -> str:
    """A page that stands alone, of at most `rows` pairs taken evenly from all shards."""
    pairs = [
        (number, key, facts.members)
        for number in folder.numbers
        for key, facts in folder.pairs(number).samples.items()
    ]
    step = max(1, len(pairs) / rows)
    taken = [pairs[int(i * step)] for i in range(min(rows, len(pairs)))]
    config = folder.config
    about = (
        f"{len(taken)} of {len(pairs)} pairs, {config.backbone.name}, judged by "
        f"{config.judge.id}, {config.policy} {config.margin}"
    )
    template = Path(__file__).with_name("contact_sheet.html")
    pictures = {number: pair_pictures(folder, number) for number in {place[0] for place in taken}}
    rows_shown = [_row(folder, *place, pictures[place[0]][place[1]]) for place in taken]
    return render(template, title="Preference pairs", about=about, rows=rows_shown)


def _row(
    folder: ShardFolder,
    number: int,
    key: str,
    members: Members,
    pictures: dict[str, StoredPicture],
) -> Row:
    pair = read_row(folder.tar(PAIRS, number), members, PairJson)
    sides = [(_image(pictures[role]), side) for role, side in pair.sides.items()]
    return Row(key, pair, sides)


def _image(picture: StoredPicture) -> str:
    """An image as it is, of a clip three frames in a row."""
    if picture.suffix == "mp4":
        return jpeg_uri(strip(read_clip(picture.read())), _STRIP_PX)
    return data_uri("jpeg" if picture.suffix == "jpg" else "png", picture.read())
