"""Images whose pixels were NaN are failures with a cause in an evaluation, no wrong answers."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from not_finite import break_vae

from sipo.feedback.fake import FakeJudge
from sipo.geneval.evaluate import evaluate
from sipo.geneval.settings import EvalSettings


def test_they_are_in_no_accuracy(
    make_settings: Callable[..., EvalSettings], tiny_backbone: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_vae(tiny_backbone, monkeypatch)
    settings = make_settings(images_per_prompt=4)
    summary = evaluate(settings, tiny_backbone, FakeJudge())
    failed = summary.failures.images
    assert 0 < failed < 24
    assert summary.failures.causes == {"pixels are not finite": failed}
    rows = [json.loads(r) for r in (settings.out / "results.jsonl").read_text().splitlines()]
    assert len(rows) == 24 - failed
    elsewhere = make_settings("again", images=settings.out, images_per_prompt=4)
    assert evaluate(elsewhere, judge=FakeJudge()).failures.causes == {
        "pixels are not finite": failed
    }
