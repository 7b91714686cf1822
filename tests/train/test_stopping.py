"""A run that is asked to stop keeps what it has, and goes on as if nothing had been."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path
from typing import Any

import pytest
from alike import same_bits
from memory_pairs import MemoryPairs, Run
from test_training_run import rows, stop_after

from sipo.backbones.base import LORA_FILE
from sipo.common.errors import Terminated
from sipo.train import checkpoint_files
from sipo.train.settings import make_settings
from sipo.train.stopping import Stopping
from sipo.train.trainer import Trainer

GIVEN: dict[str, Any] = {"max_train_steps": 5, "checkpointing_steps": 4, "logging_steps": 3}
"""A stop after step 2 is in the middle of a row of the log."""


def signalled(monkeypatch: pytest.MonkeyPatch, number: int, step: int) -> None:
    """The process gets the signal while it is in `step`."""
    whole = Trainer.forward_backward

    def hit(self: Trainer, part: int) -> Any:
        if self.done + 1 == step:
            os.kill(os.getpid(), number)
        return whole(self, part)

    monkeypatch.setattr(Trainer, "forward_backward", hit)


def names(out: Path) -> set[str]:
    return {path.name for path in out.glob("checkpoint-*")}


@pytest.mark.parametrize(
    ("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)]
)
def test_a_signal_ends_the_step_and_keeps_it(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    error: type[KeyboardInterrupt],
) -> None:
    run("whole", **GIVEN)
    handler = signal.getsignal(number)
    with monkeypatch.context() as patch:
        signalled(patch, number, step=2)
        with pytest.raises(KeyboardInterrupt) as caught:
            run("stopped", **GIVEN)
    assert type(caught.value) is error
    kept = tmp_path / "stopped" / "checkpoint-2"
    assert str(caught.value) == (
        f"stopped at step 2 of 5; kept {kept}; the same command again goes on"
    )
    assert signal.getsignal(number) is handler
    assert names(tmp_path / "stopped") == {"checkpoint-2"}
    run("stopped", **GIVEN)
    assert same_bits(tmp_path / "whole" / LORA_FILE, tmp_path / "stopped" / LORA_FILE)
    assert rows(tmp_path / "whole") == rows(tmp_path / "stopped")
    assert names(tmp_path / "stopped") == {"checkpoint-4", "checkpoint-5"}


def test_checkpoints_by_time_change_nothing_and_make_room(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a checkpoint after every step, killed after the third."""
    run("whole", **GIVEN)
    often = GIVEN | {"checkpointing_minutes": 1e-9}
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run("killed", **often)
    assert names(tmp_path / "killed") == {"checkpoint-3"}
    assert (tmp_path / "killed" / "checkpoint-3" / checkpoint_files.BETWEEN).exists()
    run("killed", **often)
    assert same_bits(tmp_path / "whole" / LORA_FILE, tmp_path / "killed" / LORA_FILE)
    assert rows(tmp_path / "whole") == rows(tmp_path / "killed")
    assert names(tmp_path / "killed") == {"checkpoint-4", "checkpoint-5"}


def test_no_checkpoints_by_time(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, 3)
        with pytest.raises(KeyboardInterrupt):
            run("none", **GIVEN, checkpointing_minutes=0)
    assert names(tmp_path / "none") == set()
    assert make_settings({}).checkpointing_minutes == 10
    with pytest.raises(ValueError, match="--checkpointing_minutes -1"):
        make_settings({"checkpointing_minutes": -1})


def test_a_run_that_was_told_to_go_back_says_how_it_goes_on(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("back")
    signalled(monkeypatch, signal.SIGTERM, step=3)
    with pytest.raises(Terminated, match=r"with --resume_from_checkpoint \S+/checkpoint-3 goes on"):
        run("back", resume_from_checkpoint="checkpoint-2")


def test_what_was_kept_is_there_whatever_the_limit(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a run that went back the newest checkpoint by its step is not the newest."""
    run("back")
    signalled(monkeypatch, signal.SIGTERM, step=3)
    with pytest.raises(Terminated, match="checkpoint-3"):
        run("back", resume_from_checkpoint="checkpoint-2", checkpoints_total_limit=1)
    assert names(tmp_path / "back") == {"checkpoint-3"}


def test_a_signal_in_the_last_step_lets_the_run_end(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    signalled(monkeypatch, signal.SIGINT, step=5)
    assert run("ended", **GIVEN).steps == 5


def test_a_log_without_a_checkpoint_is_kept(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run starts again at step 0; its first log stays beside the new one."""
    for _ in range(2):
        with monkeypatch.context() as patch:
            stop_after(patch, 1)
            with pytest.raises(KeyboardInterrupt):
                run("killed")
    assert "begins at step 0; its log until now is log.jsonl.1" in capsys.readouterr().err
    run("killed")
    kept = [tmp_path / "killed" / f"log.jsonl{end}" for end in (".1", ".2", "")]
    assert [len(path.read_text().splitlines()) for path in kept] == [1, 1, 4]


def test_the_second_signal_acts_at_once() -> None:
    with Stopping() as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


def test_of_several_processes_no_signal_is_a_second_one() -> None:
    """A launcher repeats what the terminal has said already, and ends them when it must."""
    with Stopping() as stopping:
        stopping.again_at_once = False
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
    assert stopping.asked
    assert isinstance(stopping.interrupt("x"), KeyboardInterrupt)


def test_what_is_ignored_stays_ignored_and_another_way_to_be_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As `nohup` and `&` in a script start commands; and as the processes of --workers hear it."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        told = threading.Event()
        with Stopping(told) as stopping:
            signal.raise_signal(signal.SIGINT)
            assert not stopping.asked
            told.set()
            assert stopping.asked
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_only_the_main_thread_hears_signals() -> None:
    before = signal.getsignal(signal.SIGINT)
    found: list[Any] = []

    def enter() -> None:
        with Stopping():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [before]


def test_two_trainings_do_not_share_a_folder(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second is refused while the first is in its second step."""
    whole, said = Trainer.step, []

    def meanwhile(self: Trainer) -> Any:
        if self.done == 1 and not said:
            with pytest.raises(ValueError, match=r"another sipo-train is writing to .*shared"):
                said.append(run("shared", seed=1))
            said.append("refused")
        return whole(self)

    monkeypatch.setattr(Trainer, "step", meanwhile)
    run("shared", MemoryPairs(5))
    assert said == ["refused"]
    run("shared", MemoryPairs(5))  # the folder is free again
