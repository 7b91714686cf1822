"""--devices: as many processes, the bytes of one."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipo.common.own_processes import processes_for, run_processes
from sipo.datagen.cli import main


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize(("asked", "device", "count"), [("auto", "auto", 1), ("3", "cpu", 3)])
def test_on_a_cpu_only_those_that_are_asked_for(asked: str, device: str, count: int) -> None:
    assert processes_for(asked, device) == count


def test_who_was_launched_starts_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert processes_for("auto", "cpu") == 1
    with pytest.raises(ValueError, match="one of 2 processes that were launched together"):
        processes_for("4", "cpu")


def test_who_was_launched_alone_may_start_several(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a job of one task, in which Slurm counts it."""
    monkeypatch.setenv("SLURM_PROCID", "0")
    monkeypatch.setenv("SLURM_NTASKS", "1")
    assert processes_for("3", "cpu") == 3


def test_what_is_loaded_here_cannot_be_shared() -> None:
    assert processes_for("auto", "cpu", loaded=True) == 1
    with pytest.raises(ValueError, match="--devices 2 needs model and judge by name"):
        processes_for("2", "cpu", loaded=True)


@pytest.mark.parametrize("words", [["--devices", "0"], ["--devices", "two"]])
def test_no_number_is_refused(words: list[str], tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["generate", *words, "--out", str(tmp_path / "shards")])
    assert result.exit_code == 2
    assert "is no number of devices; give 1 or more, or auto" in result.output


def _die_or_note(folder: Path) -> None:
    if os.environ["RANK"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.2)
    (folder / "made").touch()


def _refuse() -> None:
    if os.environ["RANK"] == "1":
        raise ValueError("the disk is full")
    time.sleep(60)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_where_one_dies_the_others_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_processes(2, partial(_die_or_note, tmp_path))
    assert (tmp_path / "made").exists()
    assert "1 of 2 processes died" in capsys.readouterr().err


def test_what_one_says_is_said_once_and_ends_all() -> None:
    with pytest.raises(ValueError, match="the disk is full"):
        run_processes(2, _refuse)


def test_where_all_die_it_is_said() -> None:
    with pytest.raises(ChildProcessError, match="want of memory"):
        run_processes(2, _die)
