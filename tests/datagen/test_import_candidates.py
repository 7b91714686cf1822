"""Pictures of another engine: imported, judged by ours, encoded, paired."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).parent))

from sources import PX, picture

from sipo.backbones.base import Backbone
from sipo.datagen.cli import main
from sipo.datagen.encode import encode_folder
from sipo.datagen.generation.rejudging import judge_folder
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge

DOG = {"tag": "single_object", "include": [{"class": "dog", "count": 1}], "prompt": "a dog"}


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def settings(source: Path, out: Path, **more: Any) -> ImportSettings:
    small: dict[str, Any] = {"resolution": PX, "pairs_per_shard": 2}
    return ImportSettings(format="candidates", source=str(source), out=out, **small, **more)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three prompts of four pictures, listed a picture a row, all of a prompt's, and as GenEval's
    row; and three rows that are none."""
    folder = tmp_path / "source"
    folder.mkdir()
    for i in range(12):
        (folder / f"{i}.png").write_bytes(picture(i))
    rows: list[object] = [{"prompt": "a cat", "image": f"{i}.png"} for i in range(2)]
    rows += [{"prompt": "two cats", "images": [f"{i}.png" for i in range(4, 8)]}]
    rows += [{**DOG, "images": [f"{i}.png" for i in range(8, 12)]}]
    rows += [{"prompt": "a cat", "image": f"{i}.png"} for i in (2, 3)]
    rows += [{"prompt": "a bird", "images": ["0.png"]}]
    rows += [{"prompt": "a fish", "images": ["1.png", "1.png", "2.png", "3.png"]}]
    rows += [{"prompt": {"tag": "counting", "include": "dog"}, "image": "0.png"}]
    (folder / "made.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def test_judged_encoded_and_paired_like_sampled_ones(
    source: Path, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    made = import_pairs(settings(source, out), progress=False)
    assert (made.prompts, made.candidates, made.pairs) == (3, 12, 0)
    assert made.failures == {"not judged yet; run sipo-data judge": 12}
    assert made.imported is not None
    assert made.imported.dropped == {
        "no prompt of GenEval's": 1,
        "fewer pictures than --candidates": 1,
        "pictures are the same file": 1,
    }
    assert [prompt.text for prompt in open_folder(out).prompts] == ["a cat", "two cats", "a dog"]
    assert open_folder(out).prompts[2].include[0].class_name == "dog"
    judged = judge_folder(out, "fake", judge=FakeJudge(), progress=False)
    assert judged.pairs > 3
    assert judged.failures == {}
    encode_folder(out, backbone=tiny_backbone, progress=False)
    assert list(find_damage(out)) == []
    assert len(PairDataset(out)) == judged.pairs


def test_what_is_done_is_left_alone(source: Path, tmp_path: Path) -> None:
    """Also when it has been judged since: a script may be run again."""
    asked = settings(source, tmp_path / "shards")
    import_pairs(asked, progress=False)
    judge_folder(asked.out, "fake", judge=FakeJudge(), progress=False)
    before = contents(asked.out)
    assert import_pairs(asked, progress=False).pairs
    assert contents(asked.out) == before
    with pytest.raises(ValueError, match="--candidates"):
        import_pairs(settings(source, asked.out, candidates=3), progress=False)


def test_what_is_asked_beside_a_text_is_kept_and_an_edit_is_counted(tmp_path: Path) -> None:
    names = ["0.png", "1.png"]
    for i, name in enumerate(names):
        (tmp_path / name).write_bytes(picture(i))
    asked = {"id": "q", "text": "Is it open?", "answer": "yes"}
    rows: list[dict[str, object]] = [
        {"prompt": "a sign", "texts": ["open"], "images": names},
        {"prompt": "a door", "questions": [asked], "images": names},
        {"prompt": "make it red", "before": "0.png", "images": names},
    ]
    made = tmp_path / "made.jsonl"
    made.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    import_pairs(settings(made, tmp_path / "out"))
    folder = open_folder(tmp_path / "out")
    sign, door = folder.prompts
    assert (sign.texts, [one.id for one in door.questions]) == (("open",), ["q"])
    (dropped,) = (tmp_path / "out" / "dropped.jsonl").read_text(encoding="utf-8").splitlines()
    assert "an edit (before), whose picture is not imported" in dropped


def test_of_geneval_s_folders(tmp_path: Path) -> None:
    for i in range(3):
        samples = tmp_path / f"source/0000{i}/samples"
        samples.mkdir(parents=True)
        (samples.parent / "metadata.jsonl").write_text(json.dumps(DOG | {"prompt": f"dog {i}"}))
        for k in range(2):
            (samples / f"000{k}.png").write_bytes(picture(2 * i + k))
    made = import_pairs(settings(tmp_path / "source", tmp_path / "shards"), progress=False)
    assert (made.prompts, made.candidates) == (3, 6)


def test_candidates_of_pairs_are_refused(tmp_path: Path) -> None:
    words = ["import", "folder", str(tmp_path), "--candidates", "3", "--out", str(tmp_path / "o")]
    result = CliRunner().invoke(main, words)
    assert (result.exit_code, "--candidates 3 has no effect on pairs" in result.output) == (2, True)
