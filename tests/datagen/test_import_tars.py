"""Tars as people make them: no sample is lost uncounted, and none is mixed with another."""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sources import sample
from test_import_damage import causes
from test_import_formats import assert_pictures, imported, pairs_of

Members = list[tuple[str, bytes]]
MAC = b"\0\5\x16\7\0\2\0\0Mac OS X"


def members(key: str, i: int, **changed: Any) -> Members:
    return [(f"{key}.{name}", data) for name, data in (sample(i) | changed).items()]


def tar_of(folder: Path, content: Members, name: str = "0.tar") -> Path:
    """`write_tar` cannot write a key twice."""
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / name, "w") as tar:
        for member, data in content:
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return folder


def by_field(*samples: Members) -> Members:
    return [member for group in zip(*samples, strict=True) for member in group]


def beside_each(content: Members) -> Members:
    return [pair for name, data in content for pair in ((f"._{name}", MAC), (name, data))]


TWO = members("0", 0) + members("1", 1)
UPPER = [(name.replace("jpg_", "JPG_").replace("txt", "TXT"), data) for name, data in TWO]
RIGHT = {
    "sorted by field": by_field(members("0", 0), members("1", 1)),
    "with the files of macOS": beside_each(TWO),
    "in folders with dots": members("v1.0/0", 0) + members("v1.0/1", 1),
    "keys with dots": members("img_1.5", 0) + members("img_1.6", 1),
    "./ before some": members("./0", 0)[:2] + members("0", 0)[2:] + members("./1", 1),
    "capitals": UPPER,
    "an index between": [*TWO[:3], ("__index__.json", b"{}"), (".DS_Store", b"x"), *TWO[3:]],
    "one key in two folders": members("a/0", 0) + members("b/0", 1),
    "one key again, each a whole pair": members("0", 0)
    + members("x", 9, **{"label_0.txt": b"0.5", "label_1.txt": b"0.5"})
    + members("0", 1),
    "marks and line ends of Windows": members(
        "0", 0, **{"label_0.txt": b"\xef\xbb\xbf0\r\n", "label_1.txt": b"1\r\n"}
    )
    + members("1", 1, **{"original_prompt.txt": "\ufeffa cat 1\r\n".encode()}),
    "labels in words": members("0", 0, **{"label_0.txt": b"False", "label_1.txt": b"True"})
    + members("1", 1),
    "two prompts of two names": members("0", 0, **{"caption.txt": b"another"}) + members("1", 1),
}


@pytest.mark.parametrize("content", RIGHT.values(), ids=RIGHT)
def test_what_is_right_is_read(content: Members, tmp_path: Path) -> None:
    imported("webdataset", tar_of(tmp_path / "source", content), tmp_path / "out")
    assert_pictures(tmp_path / "out", 2)


LAST = members("last", 0)
KEY, FIELD = "one key twice in a tar", "one field twice in a sample"
MIXED: dict[str, tuple[Members, dict[str, int]]] = {
    "two side by side": (members("7", 1) + members("7", 2), {KEY: 2}),
    "three": (members("7", 1) + members("7", 2) + members("7", 3), {KEY: 3}),
    "two, the first without labels": (members("7", 1)[:2] + members("7", 2), {KEY: 2}),
    "by field": (by_field(members("7", 1), members("7", 2)), {KEY: 2}),
    "a label again": ([*members("7", 1), ("7.label_0.txt", b"1")], {FIELD: 1}),
    "a label again, later": (
        members("7", 1) + members("8", 0, **{"label_1.txt": b""}) + [("7.label_0.txt", b"1")],
        {FIELD: 1, "missing label": 1},
    ),
    "a prompt in two files": ([*members("7", 1), ("7.original_prompt.md", b"x")], {FIELD: 1}),
    "a picture of two types": ([*members("7", 1), ("7.jpg_0.png", b"x")], {KEY: 2}),
}


@pytest.mark.parametrize(("content", "dropped"), MIXED.values(), ids=MIXED)
def test_what_comes_twice_is_counted_and_never_mixed(
    content: Members, dropped: dict[str, int], tmp_path: Path
) -> None:
    source = tar_of(tmp_path / "source", content + LAST)
    assert causes("webdataset", source, tmp_path / "out") == dropped
    assert_pictures(tmp_path / "out", 1)


def test_one_key_in_two_tars_is_two_samples(tmp_path: Path) -> None:
    tar_of(tmp_path / "source", members("0", 0))
    source = tar_of(tmp_path / "source", members("0", 1), "1.tar")
    imported("webdataset", source, tmp_path / "out")
    assert_pictures(tmp_path / "out", 2)


def test_two_tars_made_one_by_cat(tmp_path: Path) -> None:
    source = tar_of(tmp_path / "source", members("0", 0))
    second = tar_of(tmp_path / "second", members("1", 1)) / "0.tar"
    with (source / "0.tar").open("ab") as file:
        file.write(second.read_bytes())
    found = causes("webdataset", source, tmp_path / "out")
    assert found == {"tar goes on behind its end": 1}
    assert [prompt for prompt, *_ in pairs_of(tmp_path / "out")] == ["a cat 0"]
