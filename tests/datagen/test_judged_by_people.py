"""Candidates' verdicts and pairs of a folder, held against what people said of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipo.datagen.calibration import pairs_by_people
from sipo.datagen.cli import main
from sipo.datagen.looking.review import ReviewSession
from sipo.datagen.storage.decisions import REVIEW
from sipo.datagen.storage.shard_folder import open_folder


def calibrate(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["calibrate-judge", *map(str, words)])
    return done.exit_code, done.output


def test_candidates_by_people(shards: Path, tmp_path: Path) -> None:
    folder = open_folder(shards)
    samples = folder.candidates(0).samples
    people, out = tmp_path / "people.jsonl", tmp_path / "judge.json"
    rows = [{"candidate": key, "right": one.correct} for key, one in samples.items()]
    people.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    code, said = calibrate(shards, "--people", people, "--out", out)
    assert code == 0, said
    name = folder.config.judge.names
    worth = json.loads(out.read_text(encoding="utf-8"))["calibration"][name]["people"]
    assert worth["as_it_is"]["agreement"] == {
        "images": len(samples),
        "agree": 1.0,
        "kappa": 1.0,
        "only_a": 0,
        "only_b": 0,
    }
    assert worth["as_it_is"]["gain"]["by_people"] == pytest.approx(0.1)
    code, said = calibrate(shards, "--people", people, "--judge", "owlv2", "--out", out)
    assert code == 2
    assert "--judge 'owlv2' is not who judged" in said
    people.write_text('{"candidate": "nobody", "right": true}\n', encoding="utf-8")
    code, said = calibrate(shards, "--people", people, "--out", out)
    assert code == 2
    assert "names candidate 'nobody', of which" in said


def test_pairs_by_people(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "judge.json"
    (tmp_path / REVIEW).write_text('{"pair": "a", "decision": "keep"}\n', encoding="utf-8")
    code, said = calibrate(shards, "--people", tmp_path / REVIEW, "--out", out)
    assert code == 2
    assert "are decisions on another folder's pairs" in said
    with pytest.raises(ValueError, match="has no pair kept or flipped; run sipo-data review"):
        pairs_by_people(open_folder(shards))
    session = ReviewSession(shards, "ann")
    count = len(session.pairs)
    for number in range(count):
        session.answer(number, "flip" if number == 0 else "tie" if number == 1 else "keep")
    found = pairs_by_people(open_folder(shards))
    assert (found.keep, found.flip, found.tie, found.drop) == (count - 2, 1, 1, 0)
    assert found.agree.value == pytest.approx((count - 2) / (count - 1))
    code, said = calibrate(shards, "--people", shards / REVIEW, "--out", out)
    assert code == 0, said
    assert f"{count - 2} pairs kept, 1 flipped, 1 ties" in said
    assert "label images right or wrong for that" in said
