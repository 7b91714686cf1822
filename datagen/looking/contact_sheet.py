"""A contact sheet: winner beside loser, with prompt, scores and what the loser got wrong."""

from __future__ import annotations

import base64
import html
import io

from sipo.common.pictures.picture import Suffix, read_clip, strip
from sipo.datagen.storage.rows import PairJson, PairSide, read_row
from sipo.datagen.storage.shard_folder import ShardFolder
from sipo.datagen.storage.shard_index import PAIRS
from sipo.datagen.storage.shards import Members, read_fields

_HEAD = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Preference pairs</title>
<style>
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; }
table { border-collapse: collapse; }
td, th { padding: 6px 12px; border-bottom: 1px solid #ddd; vertical-align: top; text-align: left; }
img { height: 160px; image-rendering: auto; display: block; }
.reason { color: #a33; }
small { color: #777; }
</style></head><body>
"""

_STRIP_PX = 480  # three frames wide


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
    caption = html.escape(
        f"{len(taken)} of {len(pairs)} pairs, {config.backbone.name}, judged by "
        f"{config.judge.id}, {config.policy} {config.margin}"
    )
    body = "".join(_row(folder, *pair) for pair in taken)
    head = "<tr><th>prompt</th><th>winner</th><th>loser</th><th>margin</th></tr>"
    return f"{_HEAD}<p>{caption}</p><table>{head}\n{body}</table></body></html>\n"


def _row(folder: ShardFolder, number: int, key: str, members: Members) -> str:
    tar, suffix = folder.tar(PAIRS, number), folder.config.suffix
    row, fields = read_row(tar, members, PairJson), read_fields(tar, members)
    prompt, tag = html.escape(row.prompt.text), html.escape(row.prompt.tag)
    sides = "".join(
        _side(_image(fields[f"{role}.{suffix}"], suffix), side) for role, side in row.sides.items()
    )
    asked = f"<td>{prompt}<br><small>{tag}, {key}</small></td>"
    return f"<tr>{asked}{sides}<td>{row.margin:.2f}</td></tr>\n"


def _image(picture: bytes, suffix: Suffix) -> str:
    """As a data URI: an image as it is, of a clip three frames in a row."""
    kind = "png"
    if suffix == "mp4":
        row, buffer, kind = strip(read_clip(picture)), io.BytesIO(), "jpeg"
        row.thumbnail((_STRIP_PX, _STRIP_PX))
        row.save(buffer, "JPEG", quality=85)
        picture = buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _side(source: str, side: PairSide) -> str:
    reason = html.escape(side.verdict.reason).replace("\n", "<br>")
    return (
        f'<td><img alt="{side.key}" src="{source}">'
        f'{side.verdict.score:.3f} <span class="reason">{reason}</span></td>'
    )
