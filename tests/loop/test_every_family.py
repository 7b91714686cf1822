"""Two rounds on every family, as on the embedded one."""

from __future__ import annotations

from pathlib import Path

import makers
import pytest
import yaml
from small_loop import read, settings_for

from sipo.backbones.registry import load_backbone
from sipo.loop import rounds

EXPERT = {"wan22_a14b": {"expert": "high"}}
"""Of families with two denoisers: a run trains one."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.FluxPosEmbed. is deprecated:FutureWarning")
@pytest.mark.parametrize("name", makers.ALL)
def test_two_rounds(name: str, tmp_path: Path) -> None:
    folder = makers.ALL[name](tmp_path / name)
    settings = settings_for(tmp_path, folder)
    settings.train.update({"mask": "false", "learning_rate": 0.01, **EXPERT.get(name, {})})
    result = rounds.loop(settings)
    out = settings.out
    assert [entry.round for entry in result.rounds] == [0, 1, 2]
    assert all(entry.pairs for entry in result.rounds[1:])
    asked = yaml.safe_load((out / "round-2/train/settings.yaml").read_text())
    assert asked["init_weights"] == str(out / "round-1/train")
    hashes = [
        read(out / f"round-{number}/eval/config.json")["backbone"]["weights_sha256"]
        for number in range(3)
    ]
    assert len({*hashes}) == 3
    tuned = load_backbone(str(folder), weights=out / "round-2/train")
    assert tuned.weights_sha256() == hashes[2]
    page = (out / "report.html").read_text()
    assert ("<video" in page) == (tuned.fps is not None)
    assert rounds.loop(settings) == result
