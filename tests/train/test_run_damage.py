"""Each file of a run folder damaged in turn: what can be done without it goes on, for the rest one
sentence names the file and the remedy.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alike import same_bits
from memory_pairs import MemoryPairs, Run
from test_training_run import rows

from sipo.backbones.base import LORA_FILE
from sipo.train.monitor.log_rows import read_rows

LONGER = {"max_train_steps": 5}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def changed(path: Path) -> None:
    """A byte of the values, or of the pickle: neither library looks at it."""
    data = bytearray(path.read_bytes())
    data[200 if path.suffix == ".pt" else len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["state.pt", "state.safetensors"])
@pytest.mark.parametrize("damage", [cut, empty, changed, Path.unlink])
def test_a_damaged_checkpoint_names_the_one_before(
    run: Run, tmp_path: Path, damage: Callable[[Path], Any], name: str
) -> None:
    run("one")
    one = tmp_path / "one"
    damage(one / "checkpoint-4" / name)
    remedy = rf"go on from the one before: --resume_from_checkpoint {one}/checkpoint-2$"
    with pytest.raises(ValueError, match=rf"{one}/checkpoint-4/{name}' is damaged .*{remedy}"):
        run("one", **LONGER)
    run("one", resume_from_checkpoint=str(one / "checkpoint-2"), **LONGER)
    run("whole", **LONGER)
    assert same_bits(one / LORA_FILE, tmp_path / "whole" / LORA_FILE)


def test_without_a_whole_checkpoint_the_sentence_says_so(run: Run, tmp_path: Path) -> None:
    run("one")
    for step in (2, 4):
        empty(tmp_path / "one" / f"checkpoint-{step}" / "state.pt")
    with pytest.raises(ValueError, match=r"remove '\S+/checkpoint-4' to start again"):
        run("one", **LONGER)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"settings": 1}', "\0\0"])
def test_a_damaged_run_json(run: Run, tmp_path: Path, content: str) -> None:
    run("one")
    path = tmp_path / "one" / "run.json"
    path.write_text(content)
    newest = tmp_path / "one" / "checkpoint-4"
    with pytest.raises(ValueError, match=f"{path}' is damaged .*another --out, and --init_weights"):
        run("one", **LONGER)
    run("other", init_weights=str(newest), max_train_steps=1)


@pytest.mark.parametrize("content", ["", "{", "3"])
def test_a_damaged_summary_is_written_again(run: Run, tmp_path: Path, content: str) -> None:
    first = run("one")
    path = tmp_path / "one" / "summary.json"
    path.write_text(content)
    with pytest.raises(ValueError, match=f"{path}' is damaged .*; remove it, and the same command"):
        run("one")
    path.unlink()
    assert run("one") == first


def test_a_settings_yaml_is_only_for_people(run: Run, tmp_path: Path) -> None:
    run("one")
    empty(tmp_path / "one" / "settings.yaml")
    run("one", **LONGER)
    assert (tmp_path / "one" / "settings.yaml").read_text().startswith("data:")


@pytest.mark.parametrize(
    "damage", [lambda text: text + '{"step": 5, "lo', lambda text: text + "\0" * 40]
)
def test_the_row_that_was_being_written_is_left_out(
    run: Run, tmp_path: Path, damage: Callable[[str], str]
) -> None:
    run("one")
    path = tmp_path / "one" / "log.jsonl"
    path.write_text(damage(path.read_text()))
    run("one", **LONGER)
    assert [row["step"] for row in rows(tmp_path / "one")] == [1, 2, 3, 4, 5]


def test_a_log_with_a_byte_order_mark_loses_nothing(run: Run, tmp_path: Path) -> None:
    run("one")
    path = tmp_path / "one" / "log.jsonl"
    path.write_bytes(codecs.BOM_UTF8 + path.read_bytes().replace(b"\n", b"\r\n"))
    run("one", **LONGER)
    assert [row["step"] for row in rows(tmp_path / "one")] == [1, 2, 3, 4, 5]


def test_a_damaged_row_before_others_is_named(run: Run, tmp_path: Path) -> None:
    run("one")
    path = tmp_path / "one" / "log.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], lines[1][:40], *lines[2:]]))
    with pytest.raises(ValueError, match=f"{path}', line 2, is damaged; remove that line"):
        run("one", **LONGER)


def test_a_finished_run_does_not_need_its_log(run: Run, tmp_path: Path) -> None:
    run("one")
    for name in ("log.jsonl", "summary.json"):
        (tmp_path / "one" / name).unlink()
    assert run("one").last is None
    assert read_rows(tmp_path / "one" / "log.jsonl") == []


def test_a_copied_checkpoint_is_none(run: Run, tmp_path: Path) -> None:
    run("one")
    (tmp_path / "one" / "checkpoint-4").rename(tmp_path / "one" / "checkpoint-4-before")
    run("one", **LONGER)


@pytest.mark.parametrize("content", ["", "two", None])
def test_best_without_its_step_is_refused_before_the_work(
    run: Run, tmp_path: Path, content: str | None
) -> None:
    given = {"validation_pairs": 2, "keep_best": True, "validation_judge": "fake"}
    given |= {"validation_prompts": str(tmp_path / "prompts.jsonl"), "num_validation_images": 1}
    row = {"tag": "single_object", "include": [{"class": "dog", "count": 1}]}
    (tmp_path / "prompts.jsonl").write_text(json.dumps(row | {"prompt": "a photo of a dog"}))
    pairs = MemoryPairs(5)
    pairs.meta["sampler"] = {"steps": 2, "guidance": 2.0}
    run("one", pairs, **given)
    path = tmp_path / "one" / "best" / "step"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=f"{path}' is damaged .*--keep_best does not know"):
        run("one", pairs, **given, **LONGER)


def test_another_runs_checkpoint_is_refused_however_it_is_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("one")
    run("two")
    monkeypatch.chdir(tmp_path)
    for wanted in ("one/checkpoint-4", "nowhere/checkpoint-4", f"{tmp_path}/one/checkpoint-4"):
        with pytest.raises(ValueError, match=f"checkpoint '{wanted}' is no complete checkpoint of"):
            run("two", resume_from_checkpoint=wanted, **LONGER)
    for wanted in ("two/checkpoint-2", "checkpoint-2/", "one/../two/checkpoint-2"):
        assert run("two", resume_from_checkpoint=wanted, **LONGER).steps == 5
        (tmp_path / "two" / "summary.json").unlink()


def test_a_damaged_block_of_trajectories_says_how_far_to_go_back(run: Run, tmp_path: Path) -> None:
    given = {"objective": "d3po", "judge": "fake", "d3po_prompts": 2, "d3po_steps": 3}
    given |= {"d3po_block": 3, "max_train_steps": 4}
    run("one", **given)
    path = tmp_path / "one" / "trajectories" / "block-000001.safetensors"
    cut(path)
    with pytest.raises(ValueError, match=f"{path}' is damaged .*at or before step 3 with --resume"):
        run("one", **given | LONGER)
    path.unlink()
    run("one", **given | LONGER, resume_from_checkpoint="checkpoint-2")
    run("whole", **given | LONGER)
    assert same_bits(tmp_path / "one" / LORA_FILE, tmp_path / "whole" / LORA_FILE)
