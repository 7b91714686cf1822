from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # for `from small_loop import settings_for`

import pytest
from small_loop import MakeSettings, settings_for

from sipo.loop.rounds import loop
from sipo.loop.settings import LoopSettings


@pytest.fixture
def make_settings(tmp_path: Path, tiny_folder: Path) -> MakeSettings:
    def make(**changes: Any) -> LoopSettings:
        return settings_for(tmp_path, tiny_folder, **changes)

    return make


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny_folder: Path) -> Path:
    """The folder of a loop of one round that was then asked for a second. Not to be changed."""
    folder = tmp_path_factory.mktemp("finished")
    loop(settings_for(folder, tiny_folder, rounds=1))
    loop(settings_for(folder, tiny_folder))
    return folder / "loop"
