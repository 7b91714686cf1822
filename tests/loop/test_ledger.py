from pathlib import Path

import pytest

from sipo.loop import ledger
from sipo.loop.ledger import Ledger


class Clock:
    """`time.monotonic` by hand."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    hand = Clock()
    monkeypatch.setattr(ledger, "time", hand)
    return hand


def test_time_survives_an_interruption(tmp_path: Path, clock: Clock) -> None:
    result = tmp_path / "result"

    def interrupted() -> None:
        clock.now += 60
        raise KeyboardInterrupt

    def finished() -> None:
        clock.now += 30
        result.touch()

    with pytest.raises(KeyboardInterrupt):
        Ledger(tmp_path / "stages.json").run("round-1/train", result, interrupted)
    again = Ledger(tmp_path / "stages.json")
    assert '"done": false' in (tmp_path / "stages.json").read_text()
    again.run("round-1/train", result, finished)
    assert '"done": true' in (tmp_path / "stages.json").read_text()
    assert again.minutes("round-1/train") == 1.5
    assert again.minutes("round-1/tra") == 0
    again.run("round-1/train", result, interrupted)  # done: not begun again


def test_a_killed_process_loses_no_more_than_a_beat(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "BEAT_S", 0.001)
    path = tmp_path / "stages.json"

    def work() -> None:
        clock.now += 10
        while not path.exists() or Ledger(path).minutes("stage") * 60 < 10:
            pass

    Ledger(path).run("stage", tmp_path, work)
    assert Ledger(path).minutes("stage") * 60 == 10


def test_a_stage_whose_files_are_gone_and_all_after_it_are_looked_at_again(
    tmp_path: Path, clock: Clock
) -> None:
    runs: list[str] = []
    book = Ledger(tmp_path / "stages.json")
    files = {name: tmp_path / name for name in ("shards", "train", "eval")}
    for name in files:
        book.run(name, files[name], files[name].touch)
    files["train"].unlink()
    for name in files:
        book.run(name, files[name], lambda name=name: runs.append(name))  # type: ignore[misc]
    assert runs == ["train", "eval"]


def test_a_damaged_ledger_is_a_sentence(tmp_path: Path) -> None:
    for text, said in (("{", "not JSON"), ('{"train": 3}', "train is 3; remove the file")):
        (tmp_path / "stages.json").write_text(text)
        with pytest.raises(ValueError, match=said):
            Ledger(tmp_path / "stages.json")
