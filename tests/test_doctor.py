"""What `sipo doctor` finds, and when it says that the work is stopped."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from sipo import checks, weights
from sipo.cli import main
from sipo.common import hub

ROOT = Path(__file__).parent.parent


def test_embedded_weights_have_the_hashes_beside_them() -> None:
    (found,) = checks.embedded_weights()
    assert found.state == "ok", found
    listed = (weights.WEIGHTS / weights.SUMS).read_text(encoding="utf-8").split()[1::2]
    there = weights.WEIGHTS.rglob("*.safetensors")
    assert sorted(listed) == sorted(str(path.relative_to(weights.WEIGHTS)) for path in there)


def test_a_changed_weight_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(weights.WEIGHTS / "evaluator", tmp_path / "evaluator")
    sums = (weights.WEIGHTS / weights.SUMS).read_text(encoding="utf-8").splitlines()
    mine = "".join(f"{row}\n" for row in sums if "evaluator" in row)
    (tmp_path / weights.SUMS).write_text(mine, encoding="utf-8")
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path)
    assert [check.state for check in checks.embedded_weights()] == ["ok"]
    (tmp_path / "evaluator" / "model.safetensors").write_bytes(b"version https://git-lfs")
    (found,) = checks.embedded_weights()
    assert (found.state, found.found) == ("stop", "missing or changed: evaluator/model.safetensors")
    (tmp_path / weights.SUMS).unlink()
    assert [check.state for check in checks.embedded_weights()] == ["stop"]


def test_a_full_disk_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert checks.disk(tmp_path).state in ("ok", "note")
    assert not [*tmp_path.iterdir()]
    monkeypatch.setattr(checks, "free_bytes", lambda _: 1000)
    assert checks.disk(tmp_path / "new").state == "stop"
    (tmp_path / "file").touch()
    found = checks.disk(tmp_path / "file" / "runs")
    assert (found.state, found.mend) == ("stop", "free some space, or give another folder as --out")


def test_every_extra_that_people_use_is_looked_at() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert checks.EXTRAS.keys() == project["optional-dependencies"].keys() - {"docs", "dev", "real"}


def test_packages_that_are_missing_or_old(monkeypatch: pytest.MonkeyPatch) -> None:
    assert {check.state for check in checks.extras(lambda _: True)} == {"ok"}
    missing = list(checks.extras(lambda _: False))
    assert missing[0].mend == "pip install 'sipo[data]' for parquet and datasets, in and out"
    monkeypatch.setattr(checks, "_holds", lambda asked: not asked.startswith("torch>"))
    _, _, packages = checks.python_and_packages()
    assert packages.state == "stop"
    assert packages.mend.startswith("pip install 'torch>=")


def test_a_hub_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "is_offline", lambda: False)
    monkeypatch.setattr(checks, "unreachable", lambda url: "huggingface.co cannot be reached")
    assert checks.hub().state == "note"
    assert (
        hub.unreachable("http://127.0.0.1:9") == "127.0.0.1 cannot be reached: Connection refused"
    )


def test_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    some = [checks.Check("disk", "ok", "room"), checks.Check("[s3]", "note", "no", "pip install")]
    monkeypatch.setattr(checks, "all_checks", lambda out: iter(some))
    ended = CliRunner().invoke(main, ["doctor"])
    assert ended.exit_code == 0
    assert "To mend:\n  [s3]: pip install\n\nNothing stops the work." in ended.stdout
    some.append(checks.Check("weights", "stop", "gone", "install again"))
    ended = CliRunner().invoke(main, ["doctor", "--json"])
    assert ended.exit_code == 1
    found = json.loads(ended.stdout)
    assert found["ok"] is False
    assert found["checks"][2] == {
        "name": "weights",
        "state": "stop",
        "found": "gone",
        "mend": "install again",
    }
