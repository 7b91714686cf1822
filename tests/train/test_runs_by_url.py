"""Runs whose folder is in a store: what is there after a stop, and that they go on from it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from alike import same_bits
from memory_pairs import Run
from object_stores import remote
from test_training_run import rows, stop_after

from sipo.backbones.base import LORA_FILE
from sipo.backbones.loading.trained_weights import find_weights
from sipo.backbones.registry import load_backbone
from sipo.common.files.urls import UrlPath
from sipo.common.files.working_folders import WorkingFolder, working_folder
from sipo.train import checkpoint_files
from sipo.train.checkpoint_files import COMPLETE, run_folder
from sipo.train.settings import make_settings

OUT = "memory://runs/sipo"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def there() -> UrlPath:
    path = remote(OUT)
    for name in path.files():
        (path / name).unlink()
    return path


def test_a_run_that_was_killed_goes_on_from_what_is_in_the_store(
    run: Run, there: UrlPath, tmp_path: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run("", out=OUT)
    assert [path.name for path in checkpoint_files.checkpoints(there)] == ["checkpoint-2"]
    assert not list(temporary.rglob("*.*"))  # nothing is left here
    done = run("", out=OUT)
    assert done.out == OUT
    card = (there / "README.md").read_text(encoding="utf-8")
    assert f'weights = "{OUT}"' in card
    assert "# sipo\n" in card
    assert str(temporary) not in card
    whole = {p.relative_to(tmp_path / "whole").as_posix() for p in files(tmp_path / "whole")}
    assert there.files().keys() == whole
    assert same_bits(tmp_path / "whole" / LORA_FILE, find_weights(there).lora)
    assert rows(tmp_path / "whole") == rows(there)
    before = there.files()
    assert run("", out=OUT) == done
    assert there.files() == before


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_weights_and_the_beginning_of_a_run_come_from_a_store(
    run: Run, there: UrlPath, tmp_path: Path, tiny_folder: Path
) -> None:
    run("", out=OUT)
    run("here", init_weights=OUT)
    assert load_backbone(str(tiny_folder), OUT).weights_sha256()
    with pytest.raises(ValueError, match="--weights 'memory://runs/none' does not exist"):
        find_weights(remote("memory://runs/none"))


def test_what_says_that_a_checkpoint_is_whole_comes_last_and_goes_first(
    there: UrlPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = run_folder(make_settings({"out": OUT}))
    mark, state = f"checkpoint-2/{COMPLETE}", "checkpoint-2/state.pt"
    order: list[str] = []
    note_down(order, monkeypatch)
    with folder.fetched(ours=True):
        (folder.here / "checkpoint-2").mkdir()
        for name in (mark, state):
            (folder.here / name).write_text("one")
        folder.upload()
        assert order == [f"+{state}", f"+{mark}"]
        order.clear()
        for name in (mark, state):
            (folder.here / name).write_text("another")
        folder.upload()
        assert order == [f"-{mark}", f"+{state}", f"+{mark}"]
        order.clear()
        for name in (mark, state):
            (folder.here / name).unlink()
        folder.upload()
        assert order == [f"-{mark}", f"-{state}"]


def note_down(order: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is uploaded and what is taken away there."""
    upload, unlink = UrlPath.upload, UrlPath.unlink

    def uploads(path: UrlPath, source: Path) -> None:
        order.append(f"+{path.parent.name}/{path.name}")
        upload(path, source)

    def unlinks(path: UrlPath, missing_ok: bool = False) -> None:
        order.append(f"-{path.parent.name}/{path.name}")
        unlink(path, missing_ok)

    monkeypatch.setattr(UrlPath, "upload", uploads)
    monkeypatch.setattr(UrlPath, "unlink", unlinks)


def test_what_could_not_be_uploaded_stays_here_and_it_is_said_where(
    there: UrlPath, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = WorkingFolder(OUT)

    def fails(*_: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(UrlPath, "upload", fails)

    def works() -> None:
        with folder.fetched(ours=True):
            (folder.here / "a").write_text("precious")
            folder.upload()

    with pytest.raises(OSError, match="no network"):
        works()
    assert (working_folder(OUT) / "a").read_text() == "precious"
    assert f"{folder.here} has what {OUT} lacks" in capsys.readouterr().err
