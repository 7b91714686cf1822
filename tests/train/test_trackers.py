"""Trackers of a run: what they are told, once each step, in one run however often it is stopped."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
from accelerate import PartialState
from accelerate.tracking import LOGGER_TYPE_TO_CLASS
from memory_pairs import MemoryPairs, Run
from PIL import Image

from sipo.train.monitor import report_to, trackers
from sipo.train.monitor.report_to import names_of
from sipo.train.monitor.trackers import run_name, values_of
from sipo.train.monitor.validation_sheet import cut_sheet, write_sheet


class Recording:
    """As accelerate's trackers are; a class of its own for every test."""

    starts: list[dict[str, Any]]
    configs: list[dict[str, Any]]
    rows: list[tuple[int, dict[str, Any]]]

    def __init__(self, project: str, **kwargs: Any) -> None:
        self.starts.append({"project": project, **kwargs})
        self.tracker = object()

    def start(self) -> None: ...

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.configs.append(values)

    def log(self, values: dict[str, Any], step: int, commit: bool) -> None:
        self.rows.append((step, values))

    def finish(self) -> None: ...


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> type[Recording]:
    """Stands where W&B's would."""
    kind = type("Ours", (Recording,), {"starts": [], "configs": [], "rows": []})
    monkeypatch.setitem(LOGGER_TYPE_TO_CLASS, "wandb", kind)
    monkeypatch.setattr(report_to, "_is_installed", lambda name: True)
    monkeypatch.setenv("WANDB_MODE", "offline")
    return kind


def test_names() -> None:
    assert names_of("trackio, tensorboard") == ["tensorboard", "trackio"]
    assert names_of("none") == []
    assert "tensorboard" in names_of("all")
    for wrong, sentence in (("comet", "'comet' is no tracker"), ("none,wandb", "is alone")):
        with pytest.raises(ValueError, match=sentence):
            names_of(wrong)
    assert run_name(Path("runs/sd15")) == "sd15"
    assert run_name(Path("runs/demo/round-2/train-2")) == "demo-round-2-train-2"


def test_a_run_is_told_with_its_config(recording: type[Recording], run: Run) -> None:
    run("one", MemoryPairs(5), report_to="wandb", tracker_project_name="mine", max_train_steps=2)
    [start] = recording.starts
    assert (start["project"], start["name"], len(start["id"])) == ("mine", "one", 8)
    [config] = recording.configs
    assert {
        "objective": "sipo",
        "rank": 2,
        "steps": 2,
        "pairs_per_step": 2,
    }.items() <= config.items()
    assert [step for step, _ in recording.rows] == [1, 2]
    first = recording.rows[0][1]
    assert {"train/loss", "train/psi_w", "train/lr"} <= first.keys()
    assert any(name.startswith("w_by_t/") for name in first)


VALIDATED: dict[str, Any] = {"step": 3, "loss": 0.5, "w_by_t": [None, 1.0], "warnings": ["odd"]}
VALIDATED |= {"validation": {"overall": 0.75, "prompts": {}, "empty_share": 0.0}}


def told(out: Path, name: str, rows: list[Any], step: int, last: int) -> None:
    def pictures(sheet: Image.Image) -> list[tuple[str, Image.Image]]:
        return cut_sheet(sheet, ["a cat", "a dog"], 1)

    PartialState()
    out.mkdir(exist_ok=True)
    images = [Image.new("RGB", (8, 8), color) for color in ("red", "blue")]
    write_sheet(images, out / "validation" / "step-3.png")
    given = out, name, "test-of-sipo", {"rank": 2, "data": ["d"]}, rows[:step], last, step
    one = trackers.Trackers(*given, pictures)  # type: ignore[arg-type]
    for row in rows[step:]:
        one.write(row)
    one.close()


ROWS: list[Any] = [{"step": 1, "loss": 1.0}, {"step": 2, "loss": 0.8}, VALIDATED]


PLAIN: list[Any] = [{"step": step, "loss": 1.0 / step} for step in range(1, 7)]


def test_killed_anywhere_no_step_is_told_twice_or_lost(
    recording: type[Recording], tmp_path: Path
) -> None:
    """Killed before any row, then after step 3, 2 and 4, each time back at the checkpoint of 1."""
    told(tmp_path / "run", "wandb", [], 0, 0)
    told(tmp_path / "run", "wandb", PLAIN[:3], 0, 0)
    told(tmp_path / "run", "wandb", PLAIN[:2], 1, 3)
    told(tmp_path / "run", "wandb", PLAIN[:4], 1, 2)
    told(tmp_path / "run", "wandb", PLAIN, 1, 4)
    assert [step for step, _ in recording.rows] == [1, 2, 3, 4, 5, 6]
    assert len({start["id"] for start in recording.starts}) == 1
    told(tmp_path / "run", "wandb", PLAIN[:1], 0, 6)  # from the beginning: another run
    assert len({start["id"] for start in recording.starts}) == 2


def test_one_that_comes_later_or_pauses_gets_the_whole_log(
    recording: type[Recording], tmp_path: Path
) -> None:
    told(tmp_path / "run", "none", PLAIN[:2], 0, 0)
    told(tmp_path / "run", "wandb", PLAIN[:3], 2, 2)
    told(tmp_path / "run", "none", PLAIN[:5], 3, 3)
    told(tmp_path / "run", "wandb", PLAIN, 5, 5)
    assert [step for step, _ in recording.rows] == [1, 2, 3, 4, 5, 6]


def test_one_that_knows_what_it_has_is_believed(
    recording: type[Recording], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It lost the last row before the checkpoint, which was still on its way."""
    told(tmp_path / "run", "wandb", PLAIN[:1], 0, 0)
    monkeypatch.setattr(trackers, "_next_step_of", lambda name, run: 2)
    told(tmp_path / "run", "wandb", PLAIN[:4], 3, 4)
    assert [step for step, _ in recording.rows] == [1, 2, 3, 4]


def test_one_that_fails_is_left_alone(
    recording: type[Recording], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def log(self: Recording, values: Any, step: int, commit: bool) -> None:
        raise OSError("disk gone")

    recording.log = log  # type: ignore[method-assign]
    told(tmp_path / "run", "wandb", PLAIN, 0, 0)
    assert capsys.readouterr().err.count("wandb takes no more (disk gone)") == 1


def test_one_that_does_not_start_is_one_sentence(
    recording: type[Recording], tmp_path: Path
) -> None:
    def start(self: Recording) -> None:
        raise RuntimeError("No API key configured. Use `wandb login`")

    recording.start = start  # type: ignore[method-assign]
    with pytest.raises(ValueError, match=r"--report_to wandb: it does not start \(No API key"):
        told(tmp_path / "run", "wandb", PLAIN, 0, 0)


def test_a_sheet_is_cut_as_it_was_put_together(tmp_path: Path) -> None:
    images = [Image.new("RGB", (4, 3), (10 * n, 0, 0)) for n in range(8)]
    write_sheet(images, tmp_path / "sheet.png")
    with Image.open(tmp_path / "sheet.png") as sheet:
        cut = cut_sheet(sheet.convert("RGB"), list("abcd"), 2)
    assert [text for text, _ in cut] == list("abcd")
    assert [image.getpixel((0, 0)) for _, image in cut] == [(20 * n, 0, 0) for n in range(4)]
    assert {image.size for _, image in cut} == {(4, 3)}


def test_tensorboard_has_scalars_and_the_sheet(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told(tmp_path / "run", "tensorboard", ROWS[:2], 0, 0)
    told(tmp_path / "run", "tensorboard", ROWS, 1, 2)  # back at step 1
    seen = EventAccumulator(str(tmp_path / "run" / "logs"))
    seen.Reload()
    assert [event.step for event in seen.Scalars("train/loss")] == [1, 2, 3]
    assert seen.Scalars("w_by_t/1")[0].value == 1.0
    assert seen.Scalars("validation/overall")[0].value == 0.75
    assert seen.Images("validation/grid")[0].width == 48
    assert values_of(VALIDATED)["warnings"] == "odd"


def test_trackio_goes_on_with_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trackio = pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    for module in ("utils", "sqlite_storage", "media.utils", "media.media"):
        where = pytest.importorskip(f"trackio.{module}")
        monkeypatch.setattr(where, "TRACKIO_DIR", tmp_path / "db", raising=False)
        monkeypatch.setattr(where, "MEDIA_DIR", tmp_path / "db" / "media", raising=False)
    told(tmp_path / "run", "trackio", ROWS[:2], 0, 0)
    told(tmp_path / "run", "trackio", ROWS, 1, 2)
    [name] = [run.name for run in trackio.Api().runs("test-of-sipo")]
    assert name.startswith("run-")
    rows = SQLiteStorage.get_logs("test-of-sipo", name)
    assert [row["step"] for row in rows] == [1, 2, 3]
    assert rows[2]["validation/overall"] == 0.75
    assert rows[2]["validation/image-1"]["caption"] == "a dog"
    assert rows[2]["validation/grid"]["_type"] == "trackio.image"


@pytest.mark.filterwarnings("ignore")
def test_wandb_offline_keeps_one_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    told(tmp_path / "run", "wandb", ROWS[:2], 0, 0)
    told(tmp_path / "run", "wandb", ROWS, 1, 2)
    files = sorted((tmp_path / "run" / "wandb").glob("offline-run-*/run-*.wandb"))
    assert len(files) == 2
    assert len({file.stem for file in files}) == 1  # the run's id
    records = [record for file in files for record in records_of(file)]
    steps = [record.history.step.num for record in records]
    assert steps == [1, 2, 3]
    items = [item for record in records for item in record.history.item]
    names = {item.key or "/".join(item.nested_key) for item in items}
    wanted = {"train/loss", "validation/grid/_type", "validation/images/captions"}
    assert wanted <= names


def records_of(file: Path) -> list[Any]:
    """The rows of history in W&B's own file: LevelDB's log of protocol buffers."""
    from wandb.proto.wandb_internal_pb2 import Record

    data, place, parts, found = file.read_bytes(), 7, b"", []
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:
            place += left
            continue
        length, kind = struct.unpack_from("<HB", data, place + 4)
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(parts))
            parts = b""
    return [record for record in found if record.WhichOneof("record_type") == "history"]
