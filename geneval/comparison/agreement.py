"""Two judges on the same images: how often they agree, and the images they do not agree on."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path
from typing import Any

from sipo.common.files.writing import write_text
from sipo.common.pictures.picture import read_clip, read_image, strip, to_bytes
from sipo.geneval.evaluation_folder import RESULTS
from sipo.geneval.layout import is_clip
from sipo.geneval.results import ImageResult, read_rows

_PAGE = """<!doctype html><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Disagreements</title><style>:root{{color-scheme:light dark}}
body{{font:15px system-ui;margin:1em}}
main{{display:grid;grid-template-columns:repeat(auto-fill,minmax(15em,1fr));gap:1em}}
img{{height:128px;max-width:100%;object-fit:contain;image-rendering:pixelated}}
p{{margin:.2em 0}}</style>
<h1>{count} disagreements</h1><p>A: {a}<br>B: {b}</p><main>{items}</main>"""
_ITEM = (
    '<figure style="margin:0"><img alt="" src="{image}">'
    "<p><b>{prompt}</b></p><p>A: {a}</p><p>B: {b}</p><p><small>{filename}</small></p></figure>"
)


def agreement(a: str | Path, b: str | Path) -> dict[str, Any]:
    """Per tag and `overall`: `images`, `agree` (share), `kappa` (Cohen 1960), `only_a`, `only_b`

    (images that only one calls correct); and `disagreements`, pairs of rows.
    Raises ValueError when the two saw different images.
    """
    first, second = _by_name(Path(a)), _by_name(Path(b))
    if lonely := sorted(first.keys() ^ second.keys()):
        raise ValueError(
            f"{str(a)!r} and {str(b)!r} did not judge the same images ({lonely[0]} is in one of "
            f"them, {len(lonely)} in all); run sipo-geneval --images on one folder with both judges"
        )
    pairs = [(first[name], second[name]) for name in sorted(first)]
    tags = dict.fromkeys(row.tag for row, _ in pairs)
    return {
        "tags": {tag: _measure([p for p in pairs if p[0].tag == tag]) for tag in tags},
        "overall": _measure(pairs),
        "disagreements": [
            {"filename": x.filename, "prompt": x.prompt, "a": _says(x), "b": _says(y)}
            for x, y in pairs
            if x.correct != y.correct
        ],
    }


def write_page(result: dict[str, Any], images: Path, out: Path, a: str, b: str, most: int) -> int:
    """The first `most` disagreements as one HTML page; returns how many there are in it."""
    rows = result["disagreements"][:most]
    items = "".join(
        _ITEM.format(
            image=_uri(images / row["filename"]),
            **{key: escape(text).replace("\n", "<br>") for key, text in row.items()},
        )
        for row in rows
    )
    write_text(out, _PAGE.format(count=len(rows), a=escape(a), b=escape(b), items=items))
    return len(rows)


def _uri(path: Path) -> str:
    """An image as PNG, of a clip three frames in a row; "" for what can no longer be read."""
    try:
        shown = strip(read_clip(path.read_bytes())) if is_clip(path) else read_image(path)
    except ValueError:
        return ""
    return f"data:image/png;base64,{base64.b64encode(to_bytes(shown)).decode()}"


def _by_name(path: Path) -> dict[str, ImageResult]:
    if not (path / RESULTS).is_file():
        raise ValueError(f"{str(path)!r} has no {RESULTS}; run sipo-geneval there first")
    return {row.filename: row for row in read_rows(path / RESULTS)}


def _measure(pairs: list[tuple[ImageResult, ImageResult]]) -> dict[str, Any]:
    """Cohen's kappa = (agree - by chance) / (1 - by chance); 1 where both always say the same."""
    n = len(pairs)
    agree = sum(x.correct == y.correct for x, y in pairs) / n
    share_a, share_b = (sum(pair[side].correct for pair in pairs) / n for side in (0, 1))
    chance = share_a * share_b + (1 - share_a) * (1 - share_b)
    return {
        "images": n,
        "agree": agree,
        "kappa": (agree - chance) / (1 - chance) if chance < 1 else 1.0,
        "only_a": sum(x.correct and not y.correct for x, y in pairs),
        "only_b": sum(y.correct and not x.correct for x, y in pairs),
    }


def _says(row: ImageResult) -> str:
    return "correct" if row.correct else row.reason
