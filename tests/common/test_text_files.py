"""One way to open text: marks, line ends and bytes as people's editors leave them."""

import codecs
import errno
import os
import threading
from pathlib import Path

import pytest

from sipo.common.files.locks import is_written_to, only_writer
from sipo.common.files.text import decode_text, read_text, split_lines
from sipo.common.files.writing import atomic


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


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    """The second is refused, one who only asks is told; afterwards the folder is free."""
    out = tmp_path / "new" / "run"
    with only_writer(out, "sipo-train"):
        assert is_written_to(out)
        with (
            pytest.raises(ValueError, match=f"another sipo-train is writing to {out}; wait"),
            only_writer(out, "sipo-train"),
        ):
            raise AssertionError("two writers")
        (out / "log.jsonl").touch()
    assert not is_written_to(out)


def test_a_folder_in_which_nothing_was_written_goes_again(tmp_path: Path) -> None:
    with pytest.raises(KeyError), only_writer(tmp_path / "new" / "run", "sipo-train"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_without_locks_refuses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")

    def none(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with only_writer(tmp_path, "sipo-train"):
        assert not is_written_to(tmp_path)
