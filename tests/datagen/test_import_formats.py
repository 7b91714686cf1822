"""Every format gives the pairs its source has: prompt, winner and loser where they belong."""

from __future__ import annotations

import csv
import io
import json
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # for `from sources import picture`

from sources import PX, listed, picture, row, sample, write_list, write_tar

from sipo.common.pictures.picture import from_bytes, make_clip, read_clip
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.untrusted_clips import read_clip_of
from sipo.datagen.imports.values import UnusableError
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.storage.folder_summary import FolderSummary
from sipo.datagen.storage.pair_pictures import ROLES, pair_pictures
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.shard_index import PAIRS
from sipo.datagen.storage.shard_tar import read_fields
from sipo.datagen.storage.validate import find_damage


def imported(format_: str, source: Path | str, out: Path, **given: Any) -> FolderSummary:
    small = {"resolution": PX, "pairs_per_shard": 2} | given
    settings = ImportSettings(format=format_, source=str(source), out=out, **small)
    return import_pairs(settings, progress=False)


def dropped_of(summary: FolderSummary) -> dict[str, int]:
    assert summary.imported is not None
    return summary.imported.dropped


def pairs_of(out: Path) -> list[tuple[str, bytes, bytes, float]]:
    """(prompt, winner's file, loser's file, margin) of every pair."""
    folder, found = open_folder(out), []
    for number in folder.numbers:
        pictures = pair_pictures(folder, number)
        for key, entry in folder.pairs(number).samples.items():
            fields = read_fields(folder.tar(PAIRS, number), entry.members)
            about = json.loads(fields["json"])
            winner, loser = (pictures[key][role].read() for role in ROLES)
            found.append((about["prompt"]["prompt"], winner, loser, about["margin"]))
    return found


def assert_pictures(out: Path, count: int) -> None:
    """Pair i is "a cat i", and has `sources.picture(2i)` win over `picture(2i + 1)`."""
    pairs = pairs_of(out)
    assert [prompt for prompt, *_ in pairs] == [f"a cat {i}" for i in range(count)]
    for i, (_, winner, loser, _) in enumerate(pairs):
        for data, seed in ((winner, 2 * i), (loser, 2 * i + 1)):
            found = from_bytes(data, "png")
            expected = from_bytes(picture(seed), "png")
            assert isinstance(found, Image.Image)
            assert isinstance(expected, Image.Image)
            assert found.tobytes() == expected.tobytes()
    assert list(find_damage(out)) == []


def test_a_folder_with_a_jsonl(tmp_path: Path) -> None:
    summary = imported("folder", listed(tmp_path / "source"), tmp_path / "out")
    assert_pictures(tmp_path / "out", 5)
    assert open_folder(tmp_path / "out").config.shards == 3
    assert (summary.pairs, summary.mean_margin) == (5, 1.0)
    assert summary.to_dict()["import"] == {"rows": 5, "dropped": {}}


def test_a_folder_with_a_csv_and_images_elsewhere(tmp_path: Path) -> None:
    images = listed(tmp_path / "images", 2)
    table = tmp_path / "list.csv"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "winner", "loser", "margin"])
        writer.writeheader()
        writer.writerows([row(0, margin=0.25), row(1, margin="")])
    imported("folder", table, tmp_path / "out", images=images)
    assert_pictures(tmp_path / "out", 2)
    assert [margin for *_, margin in pairs_of(tmp_path / "out")] == [0.25, 1.0]


def test_webdataset_with_the_greater_label_as_winner(tmp_path: Path) -> None:
    source = tmp_path / "source"
    write_tar(source / "00000.tar", {f"00000{i:04d}": sample(i) for i in range(2)})
    swapped = sample(2) | {"label_0.txt": b"0\n", "label_1.txt": b"1\n", "json": b"{}"}
    write_tar(source / "00001.tar", {"000010000": swapped})
    imported("webdataset", source, tmp_path / "out")
    assert_pictures(tmp_path / "out", 3)


def test_hpdv2(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 3)
    rows: list[dict[str, Any]] = [
        {"prompt": "a cat 0", "file_path": ["w0.png", "l0.png"], "human_preference": [1, 0]},
        {"prompt": "a cat 1", "file_path": ["l1.png", "w1.png"], "human_preference": [0, 1]},
    ]
    (source / "train.json").write_text(json.dumps(rows))
    imported("hpdv2", source, tmp_path / "out")
    assert_pictures(tmp_path / "out", 2)
    names = ["l0.png", "w0.png", "l1.png"]
    ranked = [{"prompt": "a cat", "image_path": names, "rank": [2, 1, 2]}]
    (source / "test.json").write_text(json.dumps(ranked))
    summary = imported("hpdv2", source / "test.json", tmp_path / "ranked")
    assert summary.pairs == 2
    assert dropped_of(summary) == {"tie": 1}
    assert {winner for _, winner, _, _ in pairs_of(tmp_path / "ranked")} == {picture(0)}


def test_hpdv3(tmp_path: Path) -> None:
    source = listed(tmp_path / "source", 4)
    paths = [{"prompt": f"a cat {i}", "path1": f"w{i}.png", "path2": f"l{i}.png"} for i in range(4)]
    votes = [{"choice_dist": [12, 4], "confidence": 0.9}, {}, {"choice_dist": [3, 3]}]
    rows = [
        path | vote for path, vote in zip(paths, [*votes, {"choice_dist": [1, 2]}], strict=True)
    ]
    (source / "train.json").write_text(json.dumps(rows))
    summary = imported("hpdv3", source, tmp_path / "out")
    assert_pictures(tmp_path / "out", 2)
    assert [margin for *_, margin in pairs_of(tmp_path / "out")] == [0.5, 1.0]
    causes = {"tie": 1, "votes contradict the order of the paths": 1}
    assert dropped_of(summary) == causes


def test_pickapic(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    labels = [(1.0, 0.0, True), (0.0, 1.0, True), (0.5, 0.5, True), (1.0, 0.0, False)]
    rows = [
        {"caption": f"a cat {i}", "jpg_0": picture(2 * i), "jpg_1": picture(2 * i + 1)}
        | {"label_0": first, "label_1": second, "has_label": known, "user_id": 7}
        for i, (first, second, known) in enumerate(labels)
    ]
    rows[1] |= {"jpg_0": rows[1]["jpg_1"], "jpg_1": rows[1]["jpg_0"]}
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "train-0.parquet")
    summary = imported("pickapic", tmp_path / "train-0.parquet", tmp_path / "out")
    assert_pictures(tmp_path / "out", 2)
    assert summary.to_dict()["import"] == {"rows": 4, "dropped": {"tie": 1, "missing label": 1}}


def test_hf_of_a_local_folder(tmp_path: Path) -> None:
    pytest.importorskip("datasets")
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = [
        {"prompt": f"a cat {i}", "chosen": picture(2 * i), "rejected": picture(2 * i + 1)}
        for i in range(3)
    ]
    (tmp_path / "source").mkdir()
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "source" / "train.parquet")
    imported("hf", tmp_path / "source", tmp_path / "out")
    assert_pictures(tmp_path / "out", 3)


def test_hf_of_a_folder_of_images(tmp_path: Path) -> None:
    """`datasets` says of such pictures where they lie."""
    pytest.importorskip("datasets")
    source = listed(tmp_path / "source", 3)
    names = {"winner": "chosen_file_name", "loser": "rejected_file_name"}
    rows = [{names.get(k, k): v for k, v in row(i).items()} for i in range(3)]
    (source / "pairs.jsonl").unlink()
    (source / "metadata.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    imported("hf", source, tmp_path / "out")
    assert_pictures(tmp_path / "out", 3)


def test_a_clip_filmed_on_its_side_is_put_upright(tmp_path: Path) -> None:
    """The track's matrix (ISO/IEC 14496-12, 8.3.2) says a quarter turn to the right."""
    left_red = Image.new("RGB", (PX, PX), "blue")
    left_red.paste("red", (0, 0, PX // 2, PX))
    mp4 = make_clip([left_red] * 2, 8).mp4
    assert read_clip_of(mp4, (PX, PX), 2, 8).mp4 == mp4
    at = mp4.index(b"tkhd") + 44
    matrix = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    found = read_clip_of(mp4[:at] + matrix + mp4[at + 36 :], (PX, PX), 2, 8)
    top, bottom = (np.asarray(found.frames[0])[y, PX // 2] for y in (1, PX - 2))
    assert top[0] > 180 > top[2]
    assert bottom[2] > 180 > bottom[0]


def test_a_clip_that_no_decoder_knows() -> None:
    mp4 = make_clip([Image.new("RGB", (PX, PX))] * 2, 8).mp4.replace(b"avc1", b"zzzz")
    with pytest.raises(UnusableError, match="not a readable video"):
        read_clip_of(mp4, (PX, PX), 2, 8)
    with pytest.raises(ValueError, match="not a readable video"):
        read_clip(mp4)


def test_clips(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    for name, seed in (("w", 0), ("l", 1)):
        frames = [from_bytes(picture(seed + i, size=(32, PX)), "png") for i in range(6)]
        images = [frame for frame in frames if isinstance(frame, Image.Image)]
        (source / f"{name}.mp4").write_bytes(make_clip(images, 8).mp4)
    write_list(source, [{"prompt": "a cat", "winner": "w.mp4", "loser": "l.mp4"}])
    imported("folder", source, tmp_path / "out", frames=3, fps=4)
    [(_, winner, _, _)] = pairs_of(tmp_path / "out")
    clip = read_clip(winner)
    assert (len(clip.frames), clip.fps, clip.frames[0].size) == (3, 4.0, (PX, PX))
    third = np.asarray(from_bytes(picture(4, size=(32, PX)), "png"), float)[:, 8:24]
    assert np.abs(np.asarray(clip.frames[2], float) - third).mean() < 12  # H.264, half the chroma
    assert list(find_damage(tmp_path / "out")) == []
    cause = {"clip is too short": 1}
    with pytest.raises(ValueError, match=next(iter(cause))):
        imported("folder", source, tmp_path / "long", frames=9, fps=4)


def test_pictures_that_are_no_squares(tmp_path: Path) -> None:
    """Twice as wide as high, out of the middle of a square."""
    imported("folder", listed(tmp_path / "source", 1), tmp_path / "out", width=2 * PX)
    [(_, winner, _, _)] = pairs_of(tmp_path / "out")
    whole = Image.open(io.BytesIO(picture(0))).resize((2 * PX, 2 * PX), Image.Resampling.BILINEAR)
    expected = whole.crop((0, PX // 2, 2 * PX, PX // 2 + PX))
    found = from_bytes(winner, "png")
    assert isinstance(found, Image.Image)
    assert found.tobytes() == expected.tobytes()
    asked = open_folder(tmp_path / "out").config.import_
    assert asked is not None
    assert (asked.resolution, asked.width) == (PX, 2 * PX)
    with pytest.raises(ValueError, match="width 32"):
        imported("folder", tmp_path / "source", tmp_path / "out", width=3 * PX)
    with pytest.raises(ValueError, match="--width 20 is not a multiple of 8; give 16 or 24"):
        imported("folder", tmp_path / "source", tmp_path / "odd", width=20)


def test_limit_and_the_record_of_what_was_asked(tmp_path: Path) -> None:
    source = listed(tmp_path / "source")
    imported("folder", source, tmp_path / "out", limit=3)
    assert_pictures(tmp_path / "out", 3)
    asked = json.loads((tmp_path / "out" / "config.json").read_bytes())["import"]
    assert (asked["resolution"], asked["limit"], asked["source"]) == (PX, 3, "source")
    assert str(tmp_path) not in json.dumps(asked)
