"""One way to open text: marks, line ends and bytes as people's editors leave them."""

import codecs
import os
import threading
from pathlib import Path

import pytest

from sipo.common.files import atomic, decode_text, read_text, split_lines


@pytest.mark.parametrize(
    "data",
    [
        "zwei Hünde".encode(),
        codecs.BOM_UTF8 + "zwei Hünde".encode(),
        codecs.BOM_UTF16_LE + "zwei Hünde".encode("utf-16-le"),
        codecs.BOM_UTF16_BE + "zwei Hünde".encode("utf-16-be"),
    ],
)
def test_the_mark_says_the_encoding_and_is_no_text(data: bytes) -> None:
    assert decode_text(data, "list") == "zwei Hünde"


@pytest.mark.parametrize("data", ["Hünde".encode("latin-1"), codecs.BOM_UTF16_LE + b"\x00"])
def test_bytes_that_are_no_text_are_refused_with_their_place(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"list 'a' is not UTF-.* at byte \d+; save it as UTF-8"):
        decode_text(data, "list 'a'")


def test_only_line_ends_end_a_line() -> None:
    inside = "a\u2028b\x85c\x0bd\x0ce"
    assert split_lines(f"{inside}\r\n\nx\ry") == [inside, "", "x", "y"]
    assert split_lines("a\n") == ["a"]
    assert split_lines("") == []


def test_a_pipe_is_read_as_a_file(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=["a prompt"])
    writer.start()
    assert read_text(pipe) == "a prompt"
    writer.join()


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    path.write_text("old")
    with pytest.raises(TypeError), atomic(path) as file:
        file.write("no bytes")  # type: ignore[arg-type]
    assert [p.name for p in tmp_path.iterdir()] == ["kept"]
    assert path.read_text() == "old"
