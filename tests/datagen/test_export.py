"""An export is what others read, and importing it gives the same pairs."""

from __future__ import annotations

import gc
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import webdataset

sys.path.insert(0, str(Path(__file__).parent))

from click.testing import CliRunner
from sources import PX, listed, row, write_list

from sipo.datagen.cli import main
from sipo.datagen.export import export_folder, pairs_of
from sipo.datagen.fiftyone_export import _detection
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.looking.review import ReviewSession
from sipo.datagen.storage.shard_folder import open_folder
from sipo.feedback.rule.boxes import Box


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pairs, the last of a smaller margin, in two shards."""
    source = listed(tmp_path / "source", 3)
    write_list(source, [row(0), row(1), row(2, margin=0.25)])
    return imported("folder", source, tmp_path / "folder")


def imported(format_: str, source: Path, out: Path) -> Path:
    small: dict[str, Any] = {"resolution": PX, "pairs_per_shard": 2}
    settings = ImportSettings(format=format_, source=str(source), out=out, **small)
    import_pairs(settings, progress=False)
    return out


def all_pairs(path: Path) -> list[Any]:
    folder = open_folder(path)
    return [pair for number in folder.numbers for pair in pairs_of(folder, number)]


def test_webdataset_and_back(folder: Path, tmp_path: Path) -> None:
    assert export_folder(folder, "webdataset", tmp_path / "out") == 3
    back = imported("webdataset", tmp_path / "out", tmp_path / "back")
    assert all_pairs(back) == all_pairs(folder)
    with tarfile.open(tmp_path / "out" / "00000.tar") as tar:
        names = ["jpg_0.jpg", "jpg_1.jpg", "label_0.txt", "label_1.txt", "original_prompt.txt"]
        assert tar.getnames()[:5] == [f"000000000.{name}" for name in names]


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # webdataset leaves closing to the collector
def test_the_webdataset_library_reads_it(folder: Path, tmp_path: Path) -> None:
    export_folder(folder, "webdataset", tmp_path / "out")
    tars = sorted(str(path) for path in (tmp_path / "out").glob("*.tar"))
    rows = list(webdataset.WebDataset(tars, shardshuffle=False).decode("pil"))
    assert [row["original_prompt.txt"] for row in rows] == ["a cat 0", "a cat 1", "a cat 2"]
    assert rows[0]["jpg_0.jpg"].size == (PX, PX)
    assert (rows[0]["label_0.txt"], rows[0]["label_1.txt"]) == ("1", "0")
    gc.collect()


def test_parquet_and_back(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    export_folder(folder, "parquet", tmp_path / "out")
    back = imported("pickapic", tmp_path / "out", tmp_path / "back")
    assert all_pairs(back) == all_pairs(folder)


def test_a_hugging_face_dataset_and_back(folder: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    export_folder(folder, "hf", tmp_path / "out")
    rows = datasets.load_dataset(str(tmp_path / "out"), split="train", streaming=True)
    first = next(iter(rows))
    assert first["prompt"] == "a cat 0"
    assert first["chosen"].size == (PX, PX)
    back = imported("hf", tmp_path / "out", tmp_path / "back")
    assert all_pairs(back) == all_pairs(folder)


def test_the_card(folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    import yaml

    export_folder(folder, "hf", tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text()
    head = yaml.safe_load(card.split("---")[1])
    assert head["license_name"] == "to-be-filled-in"
    assert head["configs"][0]["data_files"][0]["path"] == "data/*.parquet"
    assert "3 pairs of 3 prompts" in card
    assert "Licence: placeholder" in card
    assert json.dumps(PX) in card


def test_reviewers_are_heeded(folder: Path, tmp_path: Path) -> None:
    before = all_pairs(folder)
    session = ReviewSession(folder, "me")
    session.answer(0, "drop")
    session.answer(1, "flip")
    flipped, kept = all_pairs(folder)
    assert (flipped.winner, flipped.loser) == (before[1].loser, before[1].winner)
    assert kept == before[2]


def test_sampled_folders_export_too(shards: Path, tmp_path: Path) -> None:
    assert export_folder(shards, "webdataset", tmp_path / "out") == len(all_pairs(shards))


def test_fiftyone_has_both_pictures_of_a_pair_with_their_boxes(
    shards: Path, tmp_path: Path
) -> None:
    """As FiftyOne's importer reads it: fields by `_cls`, ids of 12 bytes, boxes in shares."""
    out = tmp_path / "out"
    count = export_folder(shards, "fiftyone", out)
    metadata = json.loads((out / "metadata.json").read_text())
    assert metadata["media_type"] == "group"
    assert "version" not in metadata  # by which FiftyOne would ask for a schema of that release
    samples = json.loads((out / "samples.json").read_text())["samples"]
    pairs: dict[str, dict[str, Any]] = {}
    for sample in samples:
        assert (out / sample["filepath"]).is_file()
        assert sample["group"]["_cls"] == "Group"
        assert len(sample["group"]["_id"]["$oid"]) == 24
        assert sample["group"]["name"] == sample["role"] == sample["tags"][0]
        pairs.setdefault(sample["pair"], {})[sample["role"]] = sample
        kinds = [one["label"] for one in sample["complaints"]["classifications"]]
        assert bool(kinds) == (not sample["correct"])
    assert len(pairs) == count == len(samples) / 2
    for pair in pairs.values():
        winner, loser = pair["winner"], pair["loser"]
        assert winner["group"]["_id"] == loser["group"]["_id"]
        assert winner["prompt"] == loser["prompt"]
        assert winner["score"] - loser["score"] == pytest.approx(winner["margin"])


def test_a_box_is_in_shares_of_its_picture() -> None:
    """Of 100 by 50 pixels, drawn over the right edge."""
    found = _detection(Box("dog", 0.5, (50.0, 10.0, 110.0, 30.0), "red"), (100, 50), "x")
    assert found["bounding_box"] == [0.5, 0.2, 0.5, pytest.approx(0.4)]
    assert (found["label"], found["confidence"], found["color"]) == ("dog", 0.5, "red")


def test_what_is_refused(folder: Path, tmp_path: Path) -> None:
    for more, sentence in (
        (["--format", "zip", "--out", str(tmp_path / "out")], "--format 'zip' is unknown"),
        (["--format", "webdataset", "--out", str(tmp_path)], "is there already"),
    ):
        result = CliRunner().invoke(main, ["export", str(folder), *more])
        assert result.exit_code == 2
        assert sentence in result.output
    assert not (tmp_path / "out").exists()
