"""docs/formats.md lists the fields of every file, and no others."""

from __future__ import annotations

import re
import tarfile
from dataclasses import fields
from pathlib import Path

import pytest
from pydantic import BaseModel

from sipo.common.files.strict_json import load_json
from sipo.datagen.storage.folder_config import FORMAT, FolderConfig
from sipo.datagen.storage.folder_summary import FolderSummary
from sipo.datagen.storage.sample_json import CandidateJson
from sipo.datagen.storage.shard_index import CandidateIndex, PairIndex
from sipo.feedback.prompts.clause import Clause
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.boxes import Box
from sipo.feedback.rule.complaint import Complaint
from sipo.feedback.rule.verdict import Verdict
from sipo.geneval.comparison.metric_scores import KeptScores
from sipo.geneval.results import ImageResult
from sipo.geneval.summary import EvaluationConfig, EvaluationSummary
from sipo.loop.result import LoopSummary, RoundSummary, TestSummary
from sipo.train.checkpoint_files import Run, RunSummary
from sipo.train.monitor.log_rows import Row

PAGE = Path(__file__).parents[1] / "docs" / "formats.md"
MARK = re.compile(r"<!-- fields: (\S+) -->\n\n((?:\|.*\n)+)")


def of_page() -> dict[str, set[str]]:
    """Fields by the name of their table."""
    found = {}
    for name, table in MARK.findall(PAGE.read_text(encoding="utf-8")):
        firsts = [row.split("|")[1] for row in table.splitlines()[2:]]
        found[name] = {field for first in firsts for field in re.findall(r"`(\w+)`", first)}
    return found


def of(model: type[BaseModel]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


TYPES: dict[str, set[str]] = {
    "prompt": of(Prompt),
    "clause": of(Clause),
    "verdict": {*of(Verdict), "reason"},
    "complaint": {field.name for field in fields(Complaint)},
    "box": {field.name for field in fields(Box)},
    "shards/config": of(FolderConfig),
    "shards/candidates-index": of(CandidateIndex),
    "shards/pairs-index": {*of(PairIndex), "failures"},
    "shards/candidate": of(CandidateJson),
    "shards/pair": {"prompt", "margin", "winner", "loser"}
    | {"backbone", "sampler", "judge", "versions"},
    "shards/summary": {f.name for f in fields(FolderSummary)} - {"imported"} | {"import"},
    "evaluation/result": of(ImageResult),
    "evaluation/config": of(EvaluationConfig),
    "evaluation/summary": of(EvaluationSummary) - of(EvaluationConfig),
    "evaluation/metric": of(KeptScores),
    "run/run": Run.__required_keys__ | Run.__optional_keys__,
    "run/log": Row.__required_keys__ | Row.__optional_keys__,
    "run/summary": {field.name for field in fields(RunSummary)},
    "loop/loop": of(LoopSummary),
    "loop/round": of(RoundSummary),
    "loop/test": of(TestSummary),
}


@pytest.mark.parametrize("name", sorted(TYPES))
def test_the_page_has_the_fields_that_the_code_writes(name: str) -> None:
    assert of_page()[name] == TYPES[name]


def test_the_page_has_no_other_tables_and_the_number() -> None:
    assert of_page().keys() == TYPES.keys()
    assert f"`{FORMAT}`" in PAGE.read_text(encoding="utf-8")


def test_a_folder_that_is_made_has_no_other_fields(tiny_folder: Path, tmp_path: Path) -> None:
    """What is written is what the types say: `.json` of tars are made of rows."""
    from sipo.datagen.api import generate

    prompts = ["a cat", "a dog"]
    out = tmp_path / "shards"
    generate(
        prompts, backbone=str(tiny_folder), judge="fake", candidates=3, margin=0, workers=1, out=out
    )
    listed = of_page()
    for file, name in {
        "config.json": "shards/config",
        "summary.json": "shards/summary",
        "candidates-000000.json": "shards/candidates-index",
        "pairs-000000.json": "shards/pairs-index",
    }.items():
        row = load_json((out / file).read_bytes())
        assert isinstance(row, dict)
        assert row.keys() <= listed[name], file
    for tar, name in {"candidates": "shards/candidate", "pairs": "shards/pair"}.items():
        with tarfile.open(out / f"{tar}-000000.tar") as members:
            [first, *_] = (one for one in members if one.name.endswith(".json"))
            row = load_json(members.extractfile(first).read())  # type: ignore[union-attr]
        assert isinstance(row, dict)
        assert row.keys() == listed[name]
        assert row.get("verdict", {}).keys() <= listed["verdict"]
