"""Data from a suite that asks: its file gives the prompts, and the questions for the judge."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scripted_server import Call, Said, asked, chat, scripted
from suite_samples import DPG, dpg_csv

from sipo.backbones.base import Backbone
from sipo.datagen.generation.run import generate
from sipo.datagen.settings import GenerateSettings
from sipo.datagen.storage.sample_json import candidate_rows
from sipo.datagen.storage.shard_folder import open_folder
from sipo.feedback.prompts.prompt import read_prompts
from sipo.feedback.remote import http_calls
from sipo.feedback.rule.answers import answers_in


def test_generate_from_dpgs_csv(
    tmp_path: Path, tiny_folder: Path, tiny_backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_calls, "FIRST_WAIT_S", 0.002)
    prompts, heard = dpg_csv(tmp_path), set[str]()

    def script(call: Call) -> Said:
        heard.add(asked(call).removesuffix(" Answer in one word."))
        share = sum(call.body["messages"][0]["content"][0]["image_url"]["url"].encode()) % 97
        return chat({"Yes": math.log(0.3 + share / 200)})

    with scripted(script, models={"data": [{"id": "m"}]}) as server:
        settings = GenerateSettings(
            **{"backbone": str(tiny_folder), "prompts": prompts, "out": tmp_path / "shards"},
            **{"judge": f"http={server.url}/v1", "candidates": 2, "workers": 1, "margin": 0.0},
        )
        generate(settings, backbone=tiny_backbone, progress=False)
    assert heard == {row[5] for row in DPG} | {"Is this image white?"}
    folder = open_folder(tmp_path / "shards")
    assert read_prompts(folder.path / "prompts.jsonl") == read_prompts(prompts)
    rows = [row for number in folder.numbers for _, row in candidate_rows(folder, number)]
    assert len(rows) == 4
    for row in rows:
        found = answers_in(row.verdict.evidence)
        assert found is not None
        assert found.rule == "dependent"
        assert row.verdict.score == row.verdict.evidence["dependent"]
