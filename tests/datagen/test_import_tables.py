"""Tables as Spark, pandas and the hub write them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sources import picture
from test_import_damage import causes
from test_import_formats import assert_pictures, imported

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def columns(rows: int = 2, first: int = 0) -> dict[str, list[Any]]:
    """Pair i is "a cat i"; the second picture wins."""
    numbers = range(first, first + rows)
    return {
        "caption": [f"a cat {i}" for i in numbers],
        "jpg_0": [picture(2 * i + 1) for i in numbers],
        "jpg_1": [picture(2 * i) for i in numbers],
        "label_0": [0.0] * rows,
        "label_1": [1.0] * rows,
    }


def written(path: Path, table: dict[str, Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(pyarrow.table(table), path)
    return path


YES: list[Any] = [True, 1, 1.0, "True", "yes", "1", b"1"]
NO: list[tuple[Any, str]] = [(no, "missing label") for no in (False, 0, 0.0, "False", "no", "0")]
NO += [(None, "missing label"), (float("nan"), "missing label"), ("", "missing label")]
NO += [("maybe", "has_label is neither true nor false"), (2, "has_label is neither true nor false")]


@pytest.mark.parametrize("said", YES, ids=map(repr, YES))
def test_a_label_that_is_there(said: Any, tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", columns(1) | {"has_label": [said]})
    assert causes("pickapic", path, tmp_path / "out") == {}


@pytest.mark.parametrize(("said", "cause"), NO, ids=[repr(said) for said, _ in NO])
def test_a_label_that_is_not(said: Any, cause: str, tmp_path: Path) -> None:
    written(tmp_path / "s" / "a.parquet", columns(1) | {"has_label": [said]})
    written(tmp_path / "s" / "b.parquet", columns(1))
    assert causes("pickapic", tmp_path / "s", tmp_path / "out") == {cause: 1}


LABELS: dict[str, tuple[dict[str, Any], dict[str, int]]] = {
    "text": ({"label_0": [" 0 ", "0.0"], "label_1": ["1", "True"]}, {}),
    "bool": ({"label_0": [False] * 2, "label_1": [True] * 2}, {}),
    "NaN": ({"label_0": [float("nan"), 0.0]}, {"missing label": 1}),
    "infinite": ({"label_1": [float("inf"), 1.0]}, {"label is no number from 0 to 1": 1}),
    "not different": ({"are_different": [False, True]}, {"tie": 1}),
    "a margin NaN": ({"margin": [float("nan"), None]}, {"margin is no number from 0 to 1": 1}),
}


@pytest.mark.parametrize(("changed", "dropped"), LABELS.values(), ids=LABELS)
def test_labels(changed: dict[str, Any], dropped: dict[str, int], tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", columns() | changed)
    assert causes("pickapic", path, tmp_path / "out") == dropped


def test_pick_a_pic_without_label_1(tmp_path: Path) -> None:
    table = columns(3)
    table["label_0"] = [0.0, 0.5, 1.0]
    del table["label_1"]
    table["jpg_0"][2], table["jpg_1"][2] = table["jpg_1"][2], table["jpg_0"][2]
    table["caption"][2] = "a cat 1"
    path = written(tmp_path / "a.parquet", table)
    assert causes("pickapic", path, tmp_path / "out") == {"tie": 1}


def test_a_folder_of_spark_named_as_a_file(tmp_path: Path) -> None:
    folder = tmp_path / "source" / "pairs.parquet"
    written(folder / "part-0.snappy.parquet", columns(2))
    written(folder / "part-1.PARQUET", columns(1, 2))
    written(folder / "_temporary" / "0" / "part-9.parquet", columns(1, 7))
    (folder / "_SUCCESS").touch()
    for name in (".part-0.snappy.parquet.crc", "._part-0.snappy.parquet"):
        (folder / name).write_bytes(b"crc")
    for number, source in enumerate((folder, folder.parent)):
        imported("pickapic", source, tmp_path / str(number))
        assert_pictures(tmp_path / str(number), 3)


def test_a_file_of_another_kind_is_refused_before_a_row_is_read(tmp_path: Path) -> None:
    written(tmp_path / "s" / "a.parquet", columns())
    written(tmp_path / "s" / "z.parquet", {"id": [1]})
    with pytest.raises(ValueError, match=r"z\.parquet has neither caption.* but id; rename"):
        imported("pickapic", tmp_path / "s", tmp_path / "out")
    assert not list(tmp_path.glob("out/*.tar"))


def test_a_column_twice_is_refused(tmp_path: Path) -> None:
    table = pyarrow.table(columns())
    twice = table.append_column("label_0", table["label_1"])
    parquet.write_table(twice, tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"a\.parquet has label_0 twice"):
        imported("pickapic", tmp_path / "a.parquet", tmp_path / "out")
