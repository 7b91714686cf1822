"""A loop on edits: every stage is handed the picture that goes with the prompt."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image
from small_loop import read, settings_for
from tiny_flux import tiny_flux_kontext

from sipo.feedback.fake import FakeJudge
from sipo.feedback.labelled_images import read_labelled_by
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict
from sipo.loop import rounds

COLORS = ("red", "blue")


def write_edits(path: Path, texts: Sequence[str]) -> Path:
    """Each text with each picture."""
    for name in COLORS:
        Image.new("RGB", (24, 16), name).save(path.with_name(f"{name}.png"))
    rows = [{"prompt": text, "before": f"{name}.png"} for text in texts for name in COLORS]
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


def test_a_round_of_edits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[object] = []
    plain = FakeJudge.judge

    def judge(
        self: FakeJudge, images: Sequence[Image.Image], prompts: Sequence[Prompt]
    ) -> list[Verdict]:
        shown.extend(one.before and one.before.picture().getpixel((0, 0)) for one in prompts)
        return plain(self, images, prompts)

    monkeypatch.setattr(FakeJudge, "judge", judge)
    kontext = tiny_flux_kontext(tmp_path / "kontext")
    files = {
        name: write_edits(tmp_path / f"{name}.jsonl", texts)
        for name, texts in {
            "prompts": ["make it green", "add a cat"],
            "eval_prompts": ["make it smaller"],
            "test_prompts": ["make it a dog"],
        }.items()
    }
    settings = settings_for(tmp_path, kontext, rounds=1, num_prompts=4, **files)
    look = {"validation_pairs": 4, "validation_judge": "fake", "num_validation_images": 1}
    settings.train.update(look)
    result = rounds.loop(settings)
    assert [entry.round for entry in result.rounds] == [0, 1]
    assert set(shown) == {(255, 0, 0), (0, 0, 255)}
    out = settings.out
    for name in ("round-0/eval", "round-1/eval", "round-0/test"):
        found = [
            json.loads(line) for line in (out / name / "results.jsonl").read_text().splitlines()
        ]
        assert len(found) == len({row["filename"] for row in found}) == 4, name
    log = (out / "round-1/train/log.jsonl").read_text()
    assert '"validation"' in log
    assert read(out / "loop.json")["rounds"][1]["pairs"] > 0
    page = (out / "report.html").read_text()
    assert page.count('class="began"') == 2  # of the two prompts shown, each with its own
    [one] = read_labelled_by(out / "round-1/eval", {"00001/samples/0000.png": True})
    assert one.prompt.before is not None
    assert one.prompt.before.picture().getpixel((0, 0)) == (0, 0, 255)
