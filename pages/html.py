"""HTML pages that stand alone: one base with one stylesheet and script, pictures inside the page.

What a template writes of pictures is the macro `picture` of pictures.html (shown_pictures.py).
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

from PIL import Image

_HERE = Path(__file__).parent
JPEG_QUALITY = 85

COLORS = {
    "page": ("#fbfaf8", "#161618"),
    "card": ("#ffffff", "#1f1f22"),
    "ink": ("#1d1d1f", "#f0efec"),
    "soft": ("#66666b", "#a6a6ac"),
    "rule": ("#e3e1dc", "#35353a"),
    "edge": ("#8a8883", "#77777d"),
    "shade": ("#f0eeea", "#29292d"),
    "mark": ("#2f5fd0", "#8fb4ff"),
    "on-mark": ("#fffffe", "#10131a"),
    "good": ("#1a7f4b", "#4cc38a"),
    "bad": ("#c2362f", "#ff7b72"),
    "c1": ("#2f6fde", "#79a8ff"),
    "c2": ("#d9730d", "#ffa657"),
    "c3": ("#8250c4", "#c3a0f5"),
    "c4": ("#b98900", "#e3c04f"),
    "c5": ("#0e8f9c", "#5fd0dc"),
    "c6": ("#c9428b", "#f58fc1"),
}
"""Name -> (light, dark). A stylesheet says var(--name)."""


def render(template: Path, **values: object) -> str:
    """The page of a Jinja template that extends base.html; what it names must be in `values`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader([template.parent, _HERE]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template.name).render(values, colors=COLORS)


def data_uri(kind: str, content: bytes, media: str = "image") -> str:
    """A picture of media type image/`kind` (or video/`kind`) as an address that holds it."""
    return f"data:{media}/{kind};base64,{base64.b64encode(content).decode()}"


def jpeg_uri(image: Image.Image, side_px: int) -> str:
    """An image no larger than `side_px` as JPEG; it is made smaller in place."""
    image.thumbnail((side_px, side_px))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return data_uri("jpeg", buffer.getvalue())
