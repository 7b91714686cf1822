"""A contact sheet: winner beside loser, with prompt, scores and what the loser got wrong."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sipo.common.files.strict_json import load_json
from sipo.common.pictures.picture import read_clip, strip
from sipo.datagen.storage.shard_folder import PAIRS, ShardFolder
from sipo.datagen.storage.shards import read_fields
from sipo.pages.html import data_uri, jpeg_uri, render

_STRIP_PX = 480  # three frames wide


class Side(NamedTuple):
    key: str
    image: str  # as a data URI
    score: float
    reason: str


class Row(NamedTuple):
    key: str
    prompt: str
    tag: str
    sides: list[Side]
    margin: float


def contact_sheet(folder: ShardFolder, rows: int) -> str:
    """A page that stands alone, of at most `rows` pairs taken evenly from all shards."""
    keys = [(n, key) for n in range(folder.shards) for key in folder.index(PAIRS, n)["samples"]]
    step = max(1, len(keys) / rows)
    taken = [keys[int(i * step)] for i in range(min(rows, len(keys)))]
    config = folder.config
    about = (
        f"{len(taken)} of {len(keys)} pairs, {config['backbone']['name']}, judged by "
        f"{config['judge'].get('id', '?')}, {config['policy']} {config['margin']}"
    )
    rows_shown = [_row(folder, number, key) for number, key in taken]
    template = Path(__file__).with_name("contact_sheet.html")
    return render(template, title="Preference pairs", about=about, rows=rows_shown)


def _row(folder: ShardFolder, number: int, key: str) -> Row:
    members = folder.index(PAIRS, number)["samples"][key]["members"]
    fields = read_fields(folder.tar(PAIRS, number), members)
    row = load_json(fields["json"])
    sides = [
        Side(
            row[role]["key"],
            _image(fields[f"{role}.{folder.suffix}"], folder),
            row[role]["verdict"]["score"],
            row[role]["verdict"]["reason"],
        )
        for role in ("winner", "loser")
    ]
    return Row(key, row["prompt"]["prompt"], row["prompt"]["tag"], sides, row["margin"])


def _image(picture: bytes, folder: ShardFolder) -> str:
    """As a data URI: an image as it is, of a clip three frames in a row."""
    if folder.suffix == "mp4":
        return jpeg_uri(strip(read_clip(picture)), _STRIP_PX)
    return data_uri("png", picture)
