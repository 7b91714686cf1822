"""Stopped anywhere, the same command goes on and makes the same bytes; another is refused."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from sources import PX, listed, row, write_list

from sipo.backbones.base import Backbone
from sipo.datagen import encode
from sipo.datagen.encode import encode_folder
from sipo.datagen.generation import pairs
from sipo.datagen.imports import untrusted_images, writer
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.validate import find_damage


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Seven rows: five pairs, a tie and a missing image among them."""
    source = listed(tmp_path / "source", 5)
    rows = [row(0), row(1, margin=0), row(1), row(2), row(3, winner="none.png"), row(3), row(4)]
    write_list(source, rows)
    return source


def settings(source: Path, out: Path, **given: Any) -> ImportSettings:
    small: dict[str, Any] = {"resolution": PX, "pairs_per_shard": 2} | given
    return ImportSettings(format="folder", source=str(source), out=out, **small)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


class Stopped(BaseException):
    """As a kill: nothing of ours catches it."""


def stopping_at(nth: int, made: Any) -> Any:
    """`made`, but its nth call does not come back."""
    calls = iter(range(1, 10**6))

    def call(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == nth:
            raise Stopped
        return made(*args, **kwargs)

    return call


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize(
    ("module", "step"),
    [
        (writer, "write_candidates"),
        (writer, "pair_candidates"),
        (untrusted_images, "read_image"),
    ],
)
def test_an_import_goes_on(
    module: ModuleType,
    step: str,
    workers: int,
    nth: int,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_pairs(settings(source, tmp_path / "whole"), progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(module, step, stopping_at(nth, getattr(module, step)))
        with pytest.raises(Stopped):
            import_pairs(settings(source, tmp_path / "out", workers=workers), progress=False)
    begun = step != "read_image"  # which stopped in the first shard
    said = "is a stopped import; run the same sipo-data import" if begun else "does not exist"
    with pytest.raises(ValueError, match=said):
        open_folder(tmp_path / "out")
    summary = import_pairs(settings(source, tmp_path / "out"), progress=False)
    assert summary.to_dict()["import"] == {"rows": 7, "dropped": {"tie": 1, "missing picture": 1}}
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_rows_before_the_last_shard_are_not_decoded_again(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_pairs(settings(source, tmp_path / "out"), progress=False)
    (tmp_path / "out" / "candidates-000002.json").unlink()
    looked: list[bytes] = []

    def read_image(data: bytes, size: tuple[int, int]) -> Any:
        looked.append(data)
        return original(data, size)

    original = untrusted_images.read_image
    monkeypatch.setattr(untrusted_images, "read_image", read_image)
    import_pairs(settings(source, tmp_path / "out"), progress=False)
    assert len(looked) == 2
    import_pairs(settings(source, tmp_path / "out"), progress=False)
    assert len(looked) == 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_killed_import_goes_on(tmp_path: Path) -> None:
    source, out = listed(tmp_path / "source", 60), tmp_path / "out"
    asked = settings(source, out, pairs_per_shard=1)
    child = os.fork()
    if child == 0:
        import_pairs(asked, progress=False)
        os._exit(0)
    while not (out / "pairs-000002.json").exists():
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    import_pairs(asked, progress=False)
    import_pairs(asked.model_copy(update={"out": tmp_path / "whole"}), progress=False)
    assert contents(out) == contents(tmp_path / "whole")


@pytest.mark.parametrize(
    ("changed", "name"), [({"resolution": 24}, "resolution"), ({"limit": 2}, "limit")]
)
def test_other_settings_are_refused(
    changed: dict[str, Any], name: str, source: Path, tmp_path: Path
) -> None:
    import_pairs(settings(source, tmp_path / "out"), progress=False)
    with pytest.raises(ValueError, match=f"{name}.*use the same settings"):
        import_pairs(settings(source, tmp_path / "out", **changed), progress=False)


def test_a_changed_source_is_refused(source: Path, tmp_path: Path) -> None:
    import_pairs(settings(source, tmp_path / "out"), progress=False)
    write_list(source, [row(0)])
    with pytest.raises(ValueError, match="source_sha256"):
        import_pairs(settings(source, tmp_path / "out"), progress=False)


def test_a_sampled_folder_is_no_place_for_an_import(source: Path, shards: Path) -> None:
    with pytest.raises(ValueError, match="made by sipo-data generate; give another --out"):
        import_pairs(settings(source, shards), progress=False)


@pytest.fixture
def imported(source: Path, tmp_path: Path) -> Path:
    import_pairs(settings(source, tmp_path / "imported"), progress=False)
    return tmp_path / "imported"


@pytest.mark.parametrize("nth", [1, 2])
@pytest.mark.parametrize(
    ("module", "step"),
    [(encode, "write_candidates"), (pairs, "embed_prompts"), (pairs, "pair_candidates")],
)
def test_encoding_goes_on(
    module: ModuleType,
    step: str,
    nth: int,
    imported: Path,
    source: Path,
    tiny_backbone: Backbone,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import_pairs(settings(source, tmp_path / "whole"), progress=False)
    encode_folder(tmp_path / "whole", backbone=tiny_backbone, batch_size=3, progress=False)
    with monkeypatch.context() as patch:
        patch.setattr(module, step, stopping_at(nth, getattr(module, step)))
        with pytest.raises(Stopped):
            encode_folder(imported, backbone=tiny_backbone, batch_size=3, progress=False)
    with pytest.raises(ValueError, match="run the same sipo-data encode again"):
        PairDataset(imported)
    encode_folder(imported, backbone=tiny_backbone, batch_size=3, progress=False)
    assert contents(imported) == contents(tmp_path / "whole")


def test_encoding_goes_on_where_a_tar_lost_its_index(
    imported: Path, tiny_backbone: Backbone
) -> None:
    (imported / "candidates-000001.json").unlink()
    encode_folder(imported, backbone=tiny_backbone, progress=False)
    assert list(find_damage(imported)) == []
    assert open_folder(imported).has_embeddings(1)
