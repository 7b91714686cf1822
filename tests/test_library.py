"""`import sipo`: what it costs, what it has, and that docs/python.md runs."""

from __future__ import annotations

import contextlib
import inspect
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

import sipo

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
LESS = {"candidates=8": "candidates=3", "max_train_steps=20": "max_train_steps=2"}
"""The page's numbers, made smaller: the code is the same."""


def test_import_is_quick_and_loads_no_library() -> None:
    """Under 50 ms of CPU time, whatever else the machine does."""
    code = (
        "import sys, time; start = time.process_time(); import sipo; "
        "print(time.process_time() - start, {'torch', 'numpy', 'pydantic'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, loaded = done.stdout.split(maxsplit=1)
    assert float(seconds) < 0.05
    assert loaded.strip() == "set()"


def test_every_public_name_is_there_and_documented() -> None:
    for name in sipo.__all__:
        value = getattr(sipo, name)
        assert inspect.getdoc(value), name
    assert set(sipo.__all__) <= set(dir(sipo))
    with pytest.raises(AttributeError, match="'generat'"):
        sipo.generat  # type: ignore[attr-defined]  # noqa: B018


def test_types_are_told() -> None:
    assert (Path(sipo.__file__).with_name("py.typed")).is_file()


def test_a_room_can_be_called_and_is_still_a_room() -> None:
    import sipo.train.settings

    assert callable(sipo.train)
    assert sipo.train.settings.TrainSettings is sipo.TrainSettings  # type: ignore[attr-defined]
    assert "learning_rate" in inspect.signature(sipo.train).parameters
    assert callable(sipo.loop)


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("generate", "GenerateSettings"),
        ("train", "TrainSettings"),
        ("evaluate", "EvalSettings"),
        ("loop", "LoopSettings"),
    ],
)
def test_every_setting_is_a_keyword(name: str, settings: str) -> None:
    parameters = inspect.signature(getattr(sipo, name)).parameters
    assert getattr(sipo, settings).model_fields.keys() <= parameters.keys()
    with pytest.raises(TypeError, match=rf"{name}\(\) got an unexpected keyword .*'bakcbone'"):
        getattr(sipo, name)(bakcbone="mini-sd")


def test_errors_are_in_the_callers_words() -> None:
    with pytest.raises(ValueError, match=r"^batch_size=0: Input should be greater"):
        sipo.generate(batch_size=0)
    with pytest.raises(ValueError, match=r"^data is missing; give a folder"):
        sipo.train()
    with pytest.raises(ValueError, match=r"^rank=0: "):
        sipo.train("shards", lora_rank=0)  # another name, as on the command line
    with pytest.raises(ValueError, match=r"^prompts\[1\]: .*row looks like"):
        sipo.evaluate(prompts=["a", {"tag": "counting"}])
    with pytest.raises(ValueError, match="needs images, prompts, more"):
        sipo.load_judge(lambda images, prompts, more: [])


def test_settings_go_under_keywords(tmp_path: Path) -> None:
    settings = sipo.GenerateSettings(candidates=2, seed=3, out=tmp_path / "a")
    with pytest.raises(ValueError, match=r"^candidates=1: "):
        sipo.generate(settings=settings, candidates=1)


def test_another_evaluations_prompts_are_refused(tmp_path: Path) -> None:
    (tmp_path / "prompts.jsonl").write_text("another\n")
    with pytest.raises(ValueError, match=r"^prompts are not those of .*; give another out"):
        sipo.evaluate(prompts=["a cat"], judge=lambda images, prompts: [1.0], out=tmp_path)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The folder that docs/python.md was run in, and the names that it made."""
    pytest.importorskip("pandas")
    code = "\n".join(
        textwrap.dedent(block)
        for block in re.findall(r"(?:^(?: {4,}.*)?\n)+", PAGE.read_text("utf-8"), re.MULTILINE)
    )
    for much, little in LESS.items():
        assert much in code
        code = code.replace(much, little)
    folder, found = tmp_path_factory.mktemp("page"), {"__name__": "__main__"}
    with contextlib.chdir(folder):
        exec(compile(code, str(PAGE), "exec"), found)
    return folder, found


def test_the_page_runs(page: tuple[Path, dict[str, Any]]) -> None:
    folder, found = page
    assert found["shards"].candidates == 9
    assert list(found["frame"].columns)[:2] == ["key", "text"]
    assert found["verdict"].reason == "expected dog>=2, found 0"
    assert (folder / "run" / "summary.json").is_file()


def test_a_script_without_a_guard_may_train_by_several_processes(tmp_path: Path) -> None:
    """multiprocessing would run the script again in each of them."""
    script = tmp_path / "script.py"
    script.write_text(
        "from multiprocessing import get_context\n"
        "from sipo.common.spawning import without_script\n"
        "print('once', flush=True)\n"
        "child = get_context('spawn').Process(target=print, args=('child',))\n"
        "with without_script():\n    child.start()\n"
        "child.join()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["once", "child"]
