"""Sources of preference pairs as others publish them, tiny."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from PIL import Image

from sipo.common.pictures.picture import DEFLATE

PX = 16


def picture(seed: int, kind: str = "PNG", size: tuple[int, int] = (PX, PX), **given: Any) -> bytes:
    """A gradient that tells seeds apart."""
    image = Image.new("RGB", size)
    image.putdata(
        [
            ((7 * seed + 9 * x) % 256, (31 * seed + 5 * y) % 256, (83 * seed) % 256)
            for y in range(size[1])
            for x in range(size[0])
        ]
    )
    return encoded(image, kind, **given)


def encoded(image: Image.Image, kind: str = "PNG", **given: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **(DEFLATE | given if kind == "PNG" else given))
    return buffer.getvalue()


def listed(folder: Path, pairs: int = 5) -> Path:
    """The format `folder`: `pairs.jsonl` beside the images."""
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(pairs):
        (folder / f"w{i}.png").write_bytes(picture(2 * i))
        (folder / f"l{i}.png").write_bytes(picture(2 * i + 1))
    write_list(folder, [row(i) for i in range(pairs)])
    return folder


def row(i: int, **changed: Any) -> dict[str, Any]:
    return {"prompt": f"a cat {i}", "winner": f"w{i}.png", "loser": f"l{i}.png"} | changed


def write_list(folder: Path, rows: list[dict[str, Any]]) -> None:
    (folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def sample(i: int, label: float = 1.0, **changed: bytes) -> dict[str, bytes]:
    """Of a WebDataset shard; the loser comes first."""
    return {
        "jpg_0.jpg": picture(2 * i + 1),
        "jpg_1.jpg": picture(2 * i),
        "label_0.txt": str(1 - label).encode(),
        "label_1.txt": str(label).encode(),
        "original_prompt.txt": f"a cat {i}".encode(),
    } | changed


def write_tar(path: Path, samples: dict[str, dict[str, bytes]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for key, fields in samples.items():
            for name, data in fields.items():
                info = tarfile.TarInfo(f"{key}.{name}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    return path
