from __future__ import annotations

from pathlib import Path

from sipo.common.files.names_apart import names_apart


def test_folders_are_named_by_what_tells_them_apart(tmp_path: Path) -> None:
    def named(*runs: str) -> list[str]:
        return names_apart([tmp_path / run for run in runs])

    assert named("one") == ["one"]
    assert named("sipo/seed-0/train", "dpo-cm/seed-0/train") == ["sipo", "dpo-cm"]
    assert named("a/seed-0/train", "a/seed-1/train") == ["seed-0", "seed-1"]
    assert named("a", "a/a") == [str(tmp_path / "a"), str(tmp_path / "a/a")]
