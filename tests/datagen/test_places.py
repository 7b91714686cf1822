"""An --out that cannot be is refused in one sentence, by every command, before anything is done."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from sources import PX, listed

from sipo.common.files.places import require_place
from sipo.datagen.cli import main
from sipo.datagen.generation import build

LONG = "x" * 260
COMMANDS = {
    "generate": ["generate", "--judge", "fake", "--num-prompts", "1"],
    "import": ["import", "folder", "{source}", "--resolution", str(PX)],
    "export": ["export", "{shards}"],
    "export webdataset": ["export", "{shards}", "--format", "webdataset"],
    "inspect": ["inspect", "{shards}"],
    "judge": ["judge", "{shards}", "--judge", "fake"],
    "pair": ["pair", "{shards}"],
    "calibrate-judge": ["calibrate-judge", "{source}", "--judge", "yolo-world"],
}


@pytest.fixture(autouse=True)
def no_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def loaded(*args: Any, **given: Any) -> None:
        pytest.fail("a model was loaded")

    monkeypatch.setattr(build, "load_backbone", loaded)


def refused(command: str, out: Path, shards: Path, tmp_path: Path) -> str:
    source = listed(tmp_path / "source", 1)
    args = [part.format(shards=shards, source=source) for part in COMMANDS[command]]
    result = CliRunner().invoke(main, [*args, "--out", str(out)])
    assert result.exit_code == 2, (result.output, result.exception)
    last = result.output.splitlines()[-1]
    assert last.startswith("Error: ")
    return last


@pytest.mark.parametrize("command", COMMANDS)
def test_a_name_of_260_characters(command: str, shards: Path, tmp_path: Path) -> None:
    said = refused(command, tmp_path / LONG, shards, tmp_path)
    assert "File name too long" in said
    assert "give a path that can be used" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_a_file_in_the_way(command: str, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    said = refused(command, tmp_path / "file" / "out", shards, tmp_path)
    assert "ot a directory" in said or "No such file" in said
    assert (tmp_path / "file").read_text() == ""


def test_where_nothing_may_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mounted = os.statvfs(tmp_path).f_flag & os.ST_RDONLY
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(OSError, match="deep/out") as caught:
        require_place(tmp_path / "deep" / "out")
    assert caught.value.errno == (errno.EROFS if mounted else errno.EACCES)
    assert list(tmp_path.iterdir()) == []


def _read_only() -> Path | None:
    """A mount that takes no files, also from root."""
    for place in ("/sys", "/proc/sys"):
        if os.path.isdir(place) and os.statvfs(place).f_flag & os.ST_RDONLY:
            return Path(place)
    return None


@pytest.mark.skipif(_read_only() is None, reason="no read-only mount is known here")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_read_only_mount(command: str, shards: Path, tmp_path: Path) -> None:
    place = _read_only()
    assert place
    assert "Read-only file system" in refused(command, place / "out", shards, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.parametrize("command", COMMANDS)
def test_a_folder_that_is_not_ours(command: str, shards: Path, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir(mode=0o500)
    assert "Permission denied" in refused(command, tmp_path / "theirs" / "out", shards, tmp_path)
