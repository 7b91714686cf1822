"""`judge` and `pair`: into a new folder or in place, and nothing of people's is lost."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))

from sources import PX, listed

from sipo.backbones.base import Backbone
from sipo.datagen.cli import main
from sipo.datagen.encode import encode_folder
from sipo.datagen.generation import pairs, rejudging
from sipo.datagen.generation.rejudging import judge_folder, pair_folder
from sipo.datagen.imports.settings import ImportSettings
from sipo.datagen.imports.writer import import_pairs
from sipo.datagen.storage import copies
from sipo.datagen.storage.folder_summary import FolderSummary, summarize, summary_lines
from sipo.datagen.storage.pair_dataset import PairDataset
from sipo.datagen.storage.shard_folder import open_folder
from sipo.datagen.storage.validate import find_damage
from sipo.feedback.fake import FakeJudge
from sipo.feedback.prompts.prompt import Prompt
from sipo.feedback.rule.verdict import Verdict, failed_verdict

Files = dict[str, bytes]


class OtherJudge(FakeJudge):
    """Another opinion under another name; says nothing of the prompts in `fails_on`."""

    def describe(self) -> dict[str, str]:
        return {"id": "other"}

    def _one(self, image: Image.Image, prompt: Prompt) -> Verdict:
        kept = super()._one(image, prompt)
        if kept.score is None:
            return kept
        return kept.model_copy(update={"score": 1 - kept.score, "judge": self.describe()})


class BlindJudge(FakeJudge):
    def describe(self) -> dict[str, str]:
        return {"id": "blind"}

    def judge(self, images: Sequence[Image.Image], prompts: Sequence[Prompt]) -> list[Verdict]:
        return [failed_verdict("it is dark", self.describe()) for _ in images]


class Stopped(BaseException):
    """As a kill: nothing of ours catches it."""


def contents(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def again(folder: Path, judge: FakeJudge | None = None, out: Path | None = None) -> FolderSummary:
    return judge_folder(folder, "x", judge=judge or OtherJudge(), progress=False, out=out)


@pytest.fixture
def imported(tmp_path: Path) -> Path:
    """Three pairs in two shards, not encoded."""
    out, source = tmp_path / "imported", listed(tmp_path / "source", 3)
    asked = ImportSettings(
        format="folder", source=str(source), out=out, resolution=PX, pairs_per_shard=2
    )
    import_pairs(asked, progress=False)
    return out


@pytest.mark.parametrize("judge", [FakeJudge(), BlindJudge()])
def test_people_s_verdicts_are_never_overwritten(judge: FakeJudge, imported: Path) -> None:
    before = contents(imported)
    with pytest.raises(ValueError, match=r"verdicts of people.*give --out NEW"):
        again(imported, judge)
    assert contents(imported) == before


@pytest.mark.parametrize("encoded", [False, True])
def test_imported_pairs_are_judged_into_another_folder(
    encoded: bool, imported: Path, tiny_backbone: Backbone, tmp_path: Path
) -> None:
    if encoded:
        encode_folder(imported, backbone=tiny_backbone, progress=False)
    before, new = contents(imported), tmp_path / "new"
    summary = again(imported, out=new)
    assert summary.pairs == 3
    assert contents(imported) == before
    assert list(find_damage(new)) == []
    original = open_folder(new).config.original
    assert original is not None
    assert original.as_read() == {
        "judge": {"id": "imported", "source": "folder"},
        "policy": "best-vs-worst",
        "margin": 0.0,
        "max_pairs_per_prompt": 1,
    }
    assert "originally judged by imported" in "\n".join(summary_lines(summary))
    again(new, FakeJudge())  # a machine's verdicts may be judged over
    if not encoded:
        encode_folder(new, backbone=tiny_backbone, progress=False)
    assert len(PairDataset(new)) == 3
    assert list(find_damage(new)) == []


def test_another_import_does_not_take_a_judged_folder_for_its_own(
    imported: Path, tmp_path: Path
) -> None:
    new = tmp_path / "new"
    again(imported, out=new)
    asked = ["import", "folder", tmp_path / "source", "--resolution", PX, "--pairs-per-shard", 2]
    refused = CliRunner().invoke(main, [*map(str, asked), "--out", str(new)])
    assert refused.exit_code == 2
    assert "was judged again, by other; import into another --out" in refused.output


def test_a_new_folder_is_what_judging_in_place_makes(shards: Path, tmp_path: Path) -> None:
    before, new = contents(shards), tmp_path / "new"
    again(shards, out=new)
    assert contents(shards) == before
    again(shards)
    assert contents(new) == contents(shards)
    again(shards, FakeJudge())
    assert contents(shards) == before


def test_a_new_folder_is_what_pairing_in_place_makes(shards: Path, tmp_path: Path) -> None:
    before, new = contents(shards), tmp_path / "new"
    pair_folder(shards, margin=0.6, out=new)
    assert contents(shards) == before
    assert list(find_damage(new)) == []
    pair_folder(shards, margin=0.6)
    assert contents(new) == contents(shards)
    original = open_folder(new).config.original
    assert original is not None
    assert original.margin == 0.2
    pair_folder(new, margin=0.2)
    assert contents(new) == before


def test_what_is_changed_in_the_new_folder_is_not_changed_in_the_first(
    shards: Path, tmp_path: Path
) -> None:
    before, new = contents(shards), tmp_path / "new"
    pair_folder(shards, margin=0.6, out=new)
    assert (new / "candidates-000000.tar").samefile(shards / "candidates-000000.tar")
    again(new)
    pair_folder(new, policy="best-vs-worst")
    shutil.rmtree(new)
    assert contents(shards) == before


def test_where_nothing_can_be_linked_it_is_copied(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair_folder(shards, margin=0.6, out=tmp_path / "linked")

    def refuse(*paths: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    pair_folder(shards, margin=0.6, out=tmp_path / "copied")
    assert contents(tmp_path / "copied") == contents(tmp_path / "linked")


STEPS = [
    ("judge", rejudging, "write_judged"),
    ("judge", pairs, "pair_candidates"),
    ("judge", rejudging, "begin_copy"),
    ("pair", copies, "link_file"),
    ("pair", copies, "copy_file"),
]


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize(("command", "module", "step"), STEPS)
def test_stopped_anywhere_the_same_command_goes_on(
    command: str,
    module: ModuleType,
    step: str,
    nth: int,
    shards: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(out: Path) -> None:
        if command == "judge":
            again(shards, out=out)
        else:
            pair_folder(shards, margin=0.5, out=out)

    calls, made = iter(range(1, 10**6)), getattr(module, step)

    def stopping(*args: Any, **kwargs: Any) -> Any:
        if next(calls) == nth:
            raise Stopped
        return made(*args, **kwargs)

    run(tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(module, step, stopping)
        with suppress(Stopped):  # not all steps are taken so often
            run(tmp_path / "out")
    run(tmp_path / "out")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_judge_that_can_judge_nothing_changes_nothing(shards: Path, tmp_path: Path) -> None:
    before = contents(shards)
    for out in (None, tmp_path / "deep" / "new"):
        with pytest.raises(ValueError, match=r"none of the cand.*\(20 it is dark\); nothing was"):
            again(shards, BlindJudge(), out)
    assert contents(shards) == before
    assert not (tmp_path / "deep").exists()


def test_a_judge_that_can_judge_some_is_heard(shards: Path) -> None:
    """The first two shards fail whole; the third has one verdict."""
    texts = [prompt.text for prompt in open_folder(shards).prompts]
    summary = again(shards, OtherJudge(fails_on=texts[:4]))
    assert summary.failures == {"asked to fail": 16}
    assert list(find_damage(shards)) == []


@pytest.mark.parametrize("name", ["yolo-world", "mini-evaluator", "fake,yolo-world"])
def test_a_detector_is_not_even_loaded_for_plain_texts(
    name: str, imported: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rejudging, "load_judge", lambda *_: pytest.fail("a model was loaded"))
    args = ["judge", str(imported), "--judge", name, "--out", str(tmp_path / "new")]
    refused = CliRunner().invoke(main, args)
    assert refused.exit_code == 2
    assert "looks for the objects of a prompt, and plain text names none" in refused.output
    assert not (tmp_path / "new").exists()


def test_by_the_command(shards: Path, imported: Path, tmp_path: Path) -> None:
    def run(*args: object) -> str:
        result = CliRunner().invoke(main, [str(arg) for arg in args])
        assert result.exit_code == 0, result.output
        return result.output

    out = run("judge", imported, "--judge", "fake", "--out", tmp_path / "judged")
    assert f"written: {tmp_path / 'judged'}" in out
    out = run("pair", shards, "--margin", 0.9, "--out", tmp_path / "paired")
    assert "originally judged by fake, paired by all-over-margin over margin 0.2" in out
    run("pair", imported, "--margin", 0.5)  # needs no latents
    assert summarize(open_folder(imported)).pairs == 3


def test_mistakes_of_out(shards: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is SHARDS itself; give a new folder"):
        pair_folder(shards, margin=0.5, out=shards)
    pair_folder(shards, margin=0.5, out=tmp_path / "new")
    with pytest.raises(ValueError, match=r"--margin 0\.5, this command says 0\.6"):
        pair_folder(shards, margin=0.6, out=tmp_path / "new")
    with pytest.raises(ValueError, match="--judge fake, this command says other"):
        again(shards, out=tmp_path / "new")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "a.tar").write_bytes(b"")
    with pytest.raises(ValueError, match=r"a\.tar, which sipo-data did not make"):
        pair_folder(shards, out=tmp_path / "theirs")
    config = json.loads((shards / "config.json").read_bytes())
    assert "original" not in config
