"""Two that write one file at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sipo.common.files.writing import atomic, write_text


def test_threads_do_not_write_into_one_another_s(tmp_path: Path) -> None:
    path = tmp_path / "card.md"
    with ThreadPoolExecutor(1) as other, atomic(path) as file:
        file.write(b"the first to begin")
        other.submit(write_text, path, "the first to end").result(timeout=10)
        assert path.read_text(encoding="utf-8") == "the first to end"
    assert path.read_text(encoding="utf-8") == "the first to begin"
    assert [one.name for one in tmp_path.iterdir()] == ["card.md"]
