"""Pages of one base: they stand alone, know dark and small screens, and escape what they show."""

from __future__ import annotations

import base64
import io
import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError
from PIL import Image

from sipo.pages.html import COLORS, data_uri, jpeg_uri, render

TEMPLATE = '{% extends "base.html" %}{% block body %}<p>{{ said }}</p>{% endblock %}'


def test_a_page_of_the_base(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text(TEMPLATE)
    page = render(tmp_path / "page.html", title="<t>", said="a & b")
    assert "<title>&lt;t&gt;</title>" in page
    assert "<p>a &amp; b</p>" in page
    assert 'name="viewport"' in page
    style = page.partition("<style>")[2].partition("</style>")[0]
    light, dark, chosen = re.split(r"@media \(prefers-color-scheme: dark\)|data-look=.dark", style)
    for name, colors in COLORS.items():
        assert f"--{name}: {colors[0]};" in light
        assert f"--{name}: {colors[1]};" in dark
        assert f"--{name}: {colors[1]};" in chosen
    with pytest.raises(UndefinedError, match="'said' is undefined"):
        render(tmp_path / "page.html", title="t")


def test_pictures_inside_the_page() -> None:
    assert data_uri("png", b"\x00\x01") == "data:image/png;base64,AAE="
    kind, content = jpeg_uri(Image.new("RGB", (400, 100), "red"), 200).split(",")
    assert kind == "data:image/jpeg;base64"
    with Image.open(io.BytesIO(base64.b64decode(content))) as small:
        assert small.size == (200, 50)
