"""A contact sheet: winner beside loser, with prompt, scores and what the loser got wrong."""

from __future__ import annotations

import base64
import html
import io
from typing import Any

from sipo.common.files.strict_json import load_json
from sipo.common.pictures.picture import read_clip, strip
from sipo.datagen.storage.shard_folder import PAIRS, ShardFolder
from sipo.datagen.storage.shards import read_fields

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
    keys = [(n, key) for n in range(folder.shards) for key in folder.index(PAIRS, n)["samples"]]
    step = max(1, len(keys) / rows)
    taken = [keys[int(i * step)] for i in range(min(rows, len(keys)))]
    config = folder.config
    about = html.escape(
        f"{len(taken)} of {len(keys)} pairs, {config['backbone']['name']}, judged by "
        f"{config['judge'].get('id', '?')}, {config['policy']} {config['margin']}"
    )
    body = "".join(_row(folder, number, key) for number, key in taken)
    head = "<tr><th>prompt</th><th>winner</th><th>loser</th><th>margin</th></tr>"
    return f"{_HEAD}<p>{about}</p><table>{head}\n{body}</table></body></html>\n"


def _row(folder: ShardFolder, number: int, key: str) -> str:
    members = folder.index(PAIRS, number)["samples"][key]["members"]
    fields = read_fields(folder.tar(PAIRS, number), members)
    row = load_json(fields["json"])
    prompt = html.escape(row["prompt"]["prompt"])
    tag = html.escape(row["prompt"]["tag"])
    sides = "".join(
        _side(_image(fields[f"{role}.{folder.suffix}"], folder), row[role])
        for role in ("winner", "loser")
    )
    about = f"<td>{prompt}<br><small>{tag}, {key}</small></td>"
    return f"<tr>{about}{sides}<td>{row['margin']:.2f}</td></tr>\n"


def _image(picture: bytes, folder: ShardFolder) -> str:
    """As a data URI: an image as it is, of a clip three frames in a row."""
    kind = "png"
    if folder.suffix == "mp4":
        row, buffer, kind = strip(read_clip(picture)), io.BytesIO(), "jpeg"
        row.thumbnail((_STRIP_PX, _STRIP_PX))
        row.save(buffer, "JPEG", quality=85)
        picture = buffer.getvalue()
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode()}"


def _side(source: str, side: dict[str, Any]) -> str:
    verdict = side["verdict"]
    reason = html.escape(verdict["reason"]).replace("\n", "<br>")
    return (
        f'<td><img alt="{side["key"]}" src="{source}">'
        f'{verdict["score"]:.3f} <span class="reason">{reason}</span></td>'
    )
