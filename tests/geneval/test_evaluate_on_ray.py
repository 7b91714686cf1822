"""Workers of a Ray cluster make one evaluation: the bytes of one process, also where one dies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from needs import needs
from small_cluster import small_cluster
from watched_judge import WatchedJudge
from written_prompts import write_prompts

from sipo.feedback.prompts import grammar
from sipo.geneval.evaluate import evaluate
from sipo.geneval.evaluate_on_ray import evaluate_on_ray
from sipo.geneval.settings import EvalSettings

pytestmark = [needs("ray", "ray"), pytest.mark.slow]
PROMPTS = [grammar.single_object(name) for name in ("cat", "dog", "bird", "car", "bus", "boat")]


@pytest.fixture
def cluster() -> Iterator[None]:
    with small_cluster():
        yield


def files(folder: Path) -> dict[str, bytes]:
    paths = [p for p in folder.rglob("*") if p.is_file() and p.name != "summary.json"]
    return {str(p.relative_to(folder)): p.read_bytes() for p in paths}


def test_two_workers_of_which_one_dies(cluster: None, tiny_folder: Path, tmp_path: Path) -> None:
    name, rules = "watched_judge:WatchedJudge", tmp_path / "judge.json"
    rules.write_text(json.dumps({name: {"folder": str(tmp_path)}}))
    write_prompts(PROMPTS, tmp_path / "prompts.jsonl")
    asked = EvalSettings(
        backbone=str(tiny_folder),
        prompts=tmp_path / "prompts.jsonl",
        judge=name,
        judge_settings=rules,
        images_per_prompt=8,
        batch_size=2,
        workers=1,
        out=tmp_path / "alone",
    )
    alone = evaluate(asked)
    for path in tmp_path.glob("judged-*"):
        path.unlink()
    (tmp_path / "die").write_text(PROMPTS[3].text)
    both = evaluate_on_ray(
        asked.model_copy(update={"runner": "ray", "workers": 2, "out": tmp_path / "ray"})
    )
    assert files(tmp_path / "ray") == files(tmp_path / "alone")
    assert both.overall == alone.overall
    seen = WatchedJudge.seen(tmp_path)
    assert sum(seen.values()) - 48 < 16  # what its block had before it died
