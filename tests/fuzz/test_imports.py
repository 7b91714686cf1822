"""Every import format: whatever the source holds, pairs or causes."""

import io
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutations import damaged, json_files, lines_of
from outcome import outcome
from PIL import Image

from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs


def _png(color: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), color).save(buffer, "PNG")
    return buffer.getvalue()


RED, BLUE = _png("red"), _png("blue")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "w.png").write_bytes(RED)
    (folder / "l.png").write_bytes(BLUE)
    return folder


def _imported(format_: str, source: Path) -> None:
    """All rows are counted, as pairs or by cause; a second run finds all done."""
    out = source.parent / "out"
    shutil.rmtree(out, ignore_errors=True)
    settings = ImportSettings(format=format_, source=str(source), out=out, resolution=16)

    def run() -> dict[str, Any]:
        return import_pairs(settings, progress=False)

    if (
        summary := outcome(run, str(source), str(out), *(p.name for p in source.iterdir()))
    ) is not None:
        assert run() == summary
    elif out.exists():
        assert not (out / "summary.json").exists()


ROWS: list[Any] = [{"prompt": f"a {n}", "winner": "w.png", "loser": "l.png"} for n in "abc"]


@given(data=lines_of(ROWS))
def test_a_list_of_json(source: Path, data: bytes) -> None:
    (source / "pairs.jsonl").write_bytes(data)
    _imported("folder", source)


@given(data=damaged(b"prompt,winner,loser,margin\na dog,w.png,l.png,0.5\n'a, b',l.png,w.png,\n"))
def test_a_list_of_csv(source: Path, data: bytes) -> None:
    (source / "pairs.csv").write_bytes(data)
    _imported("folder", source)


@given(data=damaged(RED))
def test_pictures(source: Path, data: bytes) -> None:
    (source / "w.png").write_bytes(data)
    (source / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    _imported("folder", source)


HPDV2 = [{"prompt": "a", "file_path": ["w.png", "l.png"], "human_preference": [1, 0]}] * 2
HPDV3 = [
    {"prompt": "a", "path1": "w.png", "path2": "l.png", "confidence": 0.9, "choice_dist": [9, 1]}
] * 2


@given(data=json_files(HPDV2))
def test_hpdv2(source: Path, data: bytes) -> None:
    (source / "train.json").write_bytes(data)
    _imported("hpdv2", source)


@given(data=json_files(HPDV3))
def test_hpdv3(source: Path, data: bytes) -> None:
    (source / "train.json").write_bytes(data)
    _imported("hpdv3", source)


SAMPLE = {
    "jpg_0.jpg": BLUE,
    "jpg_1.jpg": RED,
    "label_0.txt": b"0",
    "label_1.txt": b"1",
    "original_prompt.txt": b"a dog",
}


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Members of two samples, some changed, lost, twice, out of order; the tar perhaps damaged."""
    members = [(f"000{n}.{name}", data) for n in (1, 2) for name, data in SAMPLE.items()]
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(members) - 1))
        name, data = members.pop(at)
        kind = draw(st.sampled_from(["lose", "damage", "twice", "move", "rename"]))
        if kind == "damage":
            members.insert(at, (name, draw(damaged(data))))
        elif kind == "twice":
            members[at:at] = [(name, data), (name, draw(damaged(data)))]
        elif kind == "move":
            members.append((name, data))
        elif kind == "rename":
            members.insert(at, (draw(st.text(st.characters(codec="ascii"), max_size=20)), data))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return draw(damaged(buffer.getvalue())) if draw(st.booleans()) else buffer.getvalue()


@given(data=tars())
def test_webdataset(source: Path, data: bytes) -> None:
    (source / "00000.tar").write_bytes(data)
    _imported("webdataset", source)


TABLE = {"caption": "a", "jpg_0": RED, "jpg_1": BLUE, "label_0": 1.0, "label_1": 0.0}


def _parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


@st.composite
def tables(draw: st.DrawFn) -> bytes:
    rows = [TABLE | {"has_label": True}] * 3
    name = draw(st.sampled_from([*TABLE, "has_label", "margin"]))
    value = draw(
        st.one_of(st.none(), st.booleans(), st.floats(), st.integers(-3, 3), st.text(max_size=5))
        | st.binary(max_size=20)
        | st.lists(st.integers(0, 255), max_size=3)
    )
    others = [{k: v for k, v in TABLE.items() if k != name}] if draw(st.booleans()) else []
    data = _parquet([row | {name: value} for row in rows] + others)
    return draw(damaged(data)) if draw(st.booleans()) else data


@given(data=tables())
def test_pickapic(source: Path, data: bytes) -> None:
    (source / "data.parquet").write_bytes(data)
    _imported("pickapic", source)
