"""The benchmark of a card, at tiny size on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODELS = ("SD 1.5", "SDXL 1.0", "FLUX.1-dev", "CogVideoX 2B", "Wan 2.1 1.3B")
FEW = ("SD 1.5", "FLUX.1-dev")


@pytest.mark.slow
@pytest.mark.parametrize("models", [FEW, MODELS])
def test_every_model_is_measured(models: tuple[str, ...], tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    words = ["--tiny", "--only", "card", "generate", "sampling", "training", "--out", str(out)]
    words += ["--models", *models]
    command = [sys.executable, str(ROOT / "benchmarks" / "gpu.py"), *words]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run(command, check=True, timeout=240, env=environment, capture_output=True)
    report = json.loads(out.read_text())
    parts = report["parts"]
    assert report["tiny"]
    assert parts.keys() == {"card", "generate", "sampling", "training"}
    failed = {
        name: figures["failed"]
        for part in parts.values()
        for name, figures in part.items()
        if "failed" in figures
    }
    assert not failed
    assert parts["card"]["matmul bf16"]["flop_s"] > 0
    assert parts["sampling"]["FLUX.1-dev bf16, cached"]["finite"]
    assert 0 < parts["generate"]["SD 1.5 bf16"]["idle_share"] < 1
    for model in models:
        assert parts["sampling"][f"{model} bf16"]["peak_share_of_denoiser"] > 0
        assert parts["sampling"][f"{model} fp32"]["finite"]
        for arm in ("checkpointing", "checkpointing, cached reference", "plain"):
            trained = parts["training"][f"{model}, {arm}"]
            assert trained["pairs_s"] > 0
            assert trained["predicted_without_activations_gb"] > 0
