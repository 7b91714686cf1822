"""How a command ends that does not end well."""

import errno
import os
import signal
import subprocess
import sys
import time

import click
import pytest
from click.testing import CliRunner

from sipo.common.errors import STOPPED, Terminated, sigterm_is_ctrl_c, user_errors


def _ended_by(error: BaseException) -> tuple[int, str]:
    @click.command()
    @user_errors
    def command() -> None:
        raise error

    result = CliRunner().invoke(command)
    return result.exit_code, result.stderr


@pytest.mark.parametrize(
    "number",
    [errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EROFS, errno.EACCES, errno.ENOTDIR],
)
def test_any_path_that_cannot_be_used_is_one_sentence(number: int) -> None:
    code, said = _ended_by(OSError(number, os.strerror(number), "some/path"))
    assert code == 2
    assert said == f"Error: {os.strerror(number)}: 'some/path'; give a path that can be used\n"


def test_a_bug_keeps_its_traceback() -> None:
    assert _ended_by(TypeError("ours"))[0] == 1
    assert _ended_by(OSError("without a path"))[0] == 1


def test_ctrl_c_says_how_to_go_on() -> None:
    assert _ended_by(KeyboardInterrupt()) == (128 + signal.SIGINT, f"\n{STOPPED}\n")


def test_sigterm_closes_what_is_open_and_says_how_to_go_on() -> None:
    closed = []

    @click.command()
    @user_errors
    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(5)
        finally:
            closed.append(True)

    before = signal.getsignal(signal.SIGTERM)
    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stderr) == (128 + signal.SIGTERM, f"\n{STOPPED}\n")
    assert closed
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("stop", "code"), [(Terminated, 143), (KeyboardInterrupt, 130)])
def test_cleaning_up_that_fails_hides_no_stop(stop: type[KeyboardInterrupt], code: int) -> None:
    """A pool whose thread was not yet started cannot be joined: a RuntimeError on the way out."""

    @click.command()
    @user_errors
    def command() -> None:
        try:
            raise stop
        finally:
            raise RuntimeError("cannot join thread before it is started")

    result = CliRunner().invoke(command)
    assert (result.exit_code, result.stderr.strip()) == (code, STOPPED)


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGTERM, Terminated), (signal.SIGINT, KeyboardInterrupt)]
)
def test_a_signal_that_meets_a_destructor_is_not_lost(
    number: signal.Signals, kind: type[KeyboardInterrupt]
) -> None:
    """Python prints what a destructor raises, and goes on."""

    class Falls:
        def __del__(self) -> None:
            signal.raise_signal(number)
            for _ in range(1000):  # a signal is raised between two steps
                pass

    def work() -> None:
        Falls()
        time.sleep(5)

    with pytest.raises(KeyboardInterrupt) as stop, sigterm_is_ctrl_c():
        work()
    assert stop.type is kind


def test_a_bar_that_was_interrupted_has_not_the_last_word() -> None:
    """Interrupted before its `with` holds it, it would be drawn again when the process ends."""
    code = (
        "import sys, tqdm; from sipo.common.errors import Stopped\n"
        "bar = tqdm.tqdm(total=3, desc='Sampling')\n"
        "Stopped(KeyboardInterrupt(), 'stopped').show()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip().splitlines()[-1] == "stopped"
