"""Pictures in pages: scaled, with their places kept, boxes as data, clips that play."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

from PIL import Image

from sipo.common.pictures.picture import make_clip, read_clip
from sipo.pages.html import render
from sipo.pages.shown_pictures import DrawnBox, image_uri, show_picture

TEMPLATE = '{% from "pictures.html" import picture %}{{ picture(shown) }}'


def content(uri: str, kind: str) -> bytes:
    head, _, text = uri.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(text)


def test_small_pictures_are_kept_to_the_pixel_and_large_ones_scaled() -> None:
    drawing = Image.effect_noise((64, 48), 90).convert("RGB")
    with Image.open(io.BytesIO(content(image_uri(drawing, 256), "image/png"))) as kept:
        assert kept.convert("RGB").tobytes() == drawing.tobytes()
    with Image.open(
        io.BytesIO(content(image_uri(drawing.resize((640, 480)), 256), "image/webp"))
    ) as small:
        assert small.size == (256, 192)


def test_a_picture_says_what_it_shows_and_where_its_boxes_are(tmp_path: Path) -> None:
    boxes = [DrawnBox((-5, 12, 32, 48), "dog <.9>", "good"), DrawnBox((0, 0, 64, 96), "")]
    shown = show_picture(Image.new("RGB", (64, 48)), 32, 'a "dog"', state="bad", boxes=boxes)
    (tmp_path / "page.html").write_text(TEMPLATE)
    page = render(tmp_path / "page.html", shown=shown)
    for said in (
        'class="picture bad"',
        'width="64" height="48"',
        'loading="lazy"',
        'decoding="async"',
    ):
        assert said in page
    assert 'alt="a &#34;dog&#34;"' in page
    assert json.loads(shown.boxes_json) == [
        [0, 25, 50, 75, "dog <.9>", "good"],
        [0, 0, 100, 100, "", ""],
    ]


def test_a_clip_is_a_small_video_with_a_poster(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (96, 64), (0, 5 * number, 0)) for number in range(40)]
    shown = show_picture(make_clip(frames, 8), 48, "a clip")
    small = read_clip(content(shown.uri, "video/mp4"))
    assert (small.frames[0].size, len(small.frames), small.fps) == ((48, 32), 20, 4)
    (tmp_path / "page.html").write_text(TEMPLATE)
    page = render(tmp_path / "page.html", shown=shown)
    for said in (
        "<video",
        "muted loop playsinline",
        'poster="data:image/jpeg',
        'aria-label="a clip"',
    ):
        assert said in page
