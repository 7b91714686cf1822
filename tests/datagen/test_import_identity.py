"""What a source is: the files that are read of it, wherever they lie; and what a failure leaves."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

sys.path.insert(0, str(Path(__file__).parent))

from sources import PX, listed, picture, row, sample, write_list, write_tar

from sipo.datagen.cli import main
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder

Make = Callable[[Path], Path]


def run(format_: str, source: str | Path, out: str | Path, *more: object) -> Result:
    args = ["import", format_, source, "--out", out, "--resolution", PX, "--pairs-per-shard", 2]
    return CliRunner().invoke(main, [str(arg) for arg in (*args, *more)])


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def tars(folder: Path) -> Path:
    write_tar(folder / "0.tar", {str(i): sample(i) for i in range(3)})
    return folder


def hpdv3(folder: Path) -> Path:
    listed(folder, 3)
    rows = [{"prompt": "a", "path1": f"w{i}.png", "path2": f"l{i}.png"} for i in range(3)]
    (folder / "train.json").write_text(json.dumps(rows))
    return folder


def parquet(folder: Path) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow.parquet import write_table

    folder.mkdir(parents=True)
    rows = [
        {"caption": "a", "jpg_0": picture(2 * i), "jpg_1": picture(2 * i + 1)} for i in range(3)
    ]
    rows = [row | {"label_0": 1.0, "label_1": 0.0} for row in rows]
    write_table(pyarrow.Table.from_pylist(rows), folder / "train.parquet")
    return folder


def of_the_hub(folder: Path) -> Path:
    pytest.importorskip("datasets")
    return parquet(folder)


MADE: dict[str, Make] = {
    "folder": listed,
    "webdataset": tars,
    "hpdv3": hpdv3,
    "pickapic": parquet,
    "hf": of_the_hub,
}


@pytest.mark.parametrize("format_", MADE)
def test_files_that_appear_and_are_not_read_change_nothing(format_: str, tmp_path: Path) -> None:
    source, out = MADE[format_](tmp_path / "source"), tmp_path / "out"
    first = run(format_, source, out)
    assert first.exit_code == 0, first.output
    before = contents(out)
    (out / "candidates-000000.json").unlink()
    read = next(path for path in source.iterdir() if path.suffix not in (".png",))
    for name in (".DS_Store", f"._{read.name}", "Thumbs.db", ".cache/x.parquet", "._x.tar"):
        path = source / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"\0\5\x16\7")
    again = run(format_, source, out)
    assert again.exit_code == 0, again.output
    assert contents(out) == before
    fresh = run(format_, source, tmp_path / "fresh")
    assert fresh.exit_code == 0, fresh.output
    assert contents(tmp_path / "fresh") == before


@pytest.mark.parametrize("format_", [name for name in MADE if name != "hf"])
def test_an_out_inside_the_source_is_none_of_it(format_: str, tmp_path: Path) -> None:
    source = MADE[format_](tmp_path / "source")
    for name in ("one", "two", "one"):
        made = run(format_, source, source / name)
        assert made.exit_code == 0, made.output
    assert contents(source / "one") == contents(source / "two")
    (source / "two" / "pairs-000000.json").unlink()
    assert run(format_, source, source / "two").exit_code == 0
    assert contents(source / "one") == contents(source / "two")


def test_where_it_would_be_read_it_is_refused(tmp_path: Path) -> None:
    source = of_the_hub(tmp_path / "source")
    refused = run("hf", source, source / "out")
    assert (refused.exit_code, "lies in the source" in refused.output) == (2, True)
    assert not (source / "out").exists()
    refused = run("pickapic", source, source)
    assert (refused.exit_code, "is the source itself" in refused.output) == (2, True)


@pytest.mark.parametrize("format_", MADE)
def test_a_source_is_the_same_by_any_path_and_in_any_place(
    format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, out = MADE[format_](tmp_path / "source"), tmp_path / "out"
    assert run(format_, source, out, "--limit", 3).exit_code == 0
    before = contents(out)
    monkeypatch.chdir(source)
    for same in (".", "../source", "../source/"):
        (out / "candidates-000001.json").unlink()
        again = run(format_, same, os.path.relpath(out), "--limit", 3)
        assert again.exit_code == 0, again.output
        assert contents(out) == before
    monkeypatch.chdir(tmp_path)
    moved = Path(shutil.move(source, tmp_path / "elsewhere"))
    (out / "candidates-000001.json").unlink()
    assert run(format_, moved, out, "--limit", 3).exit_code == 0
    assert contents(out) == before
    other = run(format_, moved, out, "--limit", 2)
    assert "--limit 3, this command says 2" in other.output


@pytest.mark.parametrize("format_", MADE)
def test_a_changed_file_is_noticed(format_: str, tmp_path: Path) -> None:
    source, out = MADE[format_](tmp_path / "source"), tmp_path / "out"
    assert run(format_, source, out).exit_code == 0
    read = next(path for path in source.iterdir() if path.suffix != ".png")
    read.write_bytes(read.read_bytes() + b" ")
    refused = run(format_, source, out)
    assert refused.exit_code == 2
    assert "source_sha256" in refused.output


def hub_cache(root: Path) -> Path:
    """snapshots/ has links into blobs/, as the hub's own cache."""
    snapshot, blobs = listed(root / "snapshots" / "abc", 3), root / "blobs"
    blobs.mkdir()
    for number, path in enumerate(sorted(snapshot.iterdir())):
        blob = blobs / f"{number:064x}"
        path.rename(blob)
        path.symlink_to(os.path.relpath(blob, snapshot))
    return snapshot


def test_links_of_a_hub_cache_are_followed_when_asked(tmp_path: Path) -> None:
    source = hub_cache(tmp_path / "cache")
    refused = run("folder", source, tmp_path / "out")
    assert refused.exit_code == 2
    assert "3 link leads out of the folder, see --follow-links" in refused.output
    followed = run("folder", source, tmp_path / "out", "--follow-links")
    assert followed.exit_code == 0, followed.output
    assert open_folder(tmp_path / "out").config.prompts.count == 3
    other = run("folder", source, tmp_path / "out")
    assert "--follow-links" in other.output


def test_names_that_lead_out_are_refused_also_where_links_are_followed(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 1)
    (tmp_path / "secret.png").write_bytes(picture(9))
    rows = [row(0), row(0, loser="../secret.png"), row(0, loser=str(tmp_path / "secret.png"))]
    write_list(source, rows)
    made = run("folder", source, tmp_path / "out", "--follow-links")
    assert "2 path leads out of the folder" in made.output


def bad_rows(source: Path) -> None:
    write_list(source, [row(0, winner="none.png"), row(1, margin=0), row(2, prompt=" ")])


def test_where_every_row_fails_the_list_of_what_is_wrong_stays(tmp_path: Path) -> None:
    source, out = listed(tmp_path / "source", 3), tmp_path / "out"
    bad_rows(source)
    failed = run("folder", source, out)
    assert failed.exit_code == 2
    last = failed.output.splitlines()[-1]
    for said in ("gave no pair", "1 missing picture", "1 tie", "1 empty prompt", "dropped.jsonl"):
        assert said in last
    lines = (out / "dropped.jsonl").read_text().splitlines()
    causes = [json.loads(line)["cause"] for line in lines]
    assert causes == ["missing picture", "tie", "empty prompt"]
    with pytest.raises(ValueError, match="holds no shards"):
        PairDataset(out)
    write_list(source, [row(i) for i in range(3)])
    assert run("folder", source, out).exit_code == 0
    assert (out / "dropped.jsonl").read_text() == ""


@pytest.mark.parametrize("step", ["to_keep", "pair_candidates", "write_candidates"])
def test_after_a_fault_of_ours_the_folder_takes_another_command(
    step: str, tmp_path: Path, shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sipo.datagen.imports import writer

    source, out = listed(tmp_path / "source", 3), tmp_path / "out"

    def broken(*args: Any) -> None:
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(writer, step, broken)
        assert isinstance(run("folder", source, out).exception, AssertionError)
    write_list(source, [row(0)])
    made = run("folder", source, out, *(["--limit", 1] if step == "to_keep" else []))
    if step == "pair_candidates":  # it was the right source, and a shard of it is there
        assert "give another" in made.output or "another --out" in made.output
        return
    assert made.exit_code == 0, made.output
    assert open_folder(out).config.prompts.count == 1
