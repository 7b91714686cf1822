"""A candidate whose pixels are NaN is a counted failure, in no pair, also when judged again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from not_finite import break_vae

from sipo.datagen.generation.rejudging import judge_folder
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.shard_index import CANDIDATES, PAIRS
from sipo.datagen.storage.shard_tar import read_fields
from sipo.feedback.fake import FakeJudge

PIXELS = "pixels are not finite"


class LikesDarkness(FakeJudge):
    """Never fails: what it is given it scores, so a marked picture must not reach it."""

    def describe(self) -> dict[str, Any]:
        return {"id": "another"}


def rows(out: Path) -> list[dict[str, Any]]:
    folder, found = open_folder(out), []
    for number in folder.numbers:
        path = folder.tar(CANDIDATES, number)
        for entry in folder.candidates(number).samples.values():
            found.append(json.loads(read_fields(path, entry.members)["json"]))
    return found


def losers(out: Path) -> list[str]:
    folder, found = open_folder(out), []
    for number in folder.numbers:
        path = folder.tar(PAIRS, number)
        for entry in folder.pairs(number).samples.values():
            row = json.loads(read_fields(path, {"json": entry.members["json"]})["json"])
            found += [row[side]["verdict"]["failure"] for side in ("winner", "loser")]
    return found


def test_no_black_picture_wins_or_loses(
    settings: GenerateSettings, tiny_backbone: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_vae(tiny_backbone, monkeypatch)
    asked = settings.model_copy(update={"out": tmp_path / "out", "margin": 0.0})
    summary = generate(asked, backbone=tiny_backbone, judge=FakeJudge(), progress=False)
    failures = [row["verdict"]["failure"] for row in rows(asked.out)]
    failed = failures.count(PIXELS)
    assert 0 < failed < len(failures)
    assert set(failures) == {PIXELS, None}
    assert summary.failures == {PIXELS: failed}
    assert set(losers(asked.out)) == {None}
    again = judge_folder(asked.out, "fake", judge=LikesDarkness(), progress=False)
    assert again.failures == {PIXELS: failed}
    assert [row["verdict"]["failure"] for row in rows(asked.out)] == failures
    assert set(losers(asked.out)) == {None}
